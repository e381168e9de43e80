"""`edge-autotuner keys`: keys are made and shown, bundles signed and checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_autotuner.deployment import write_bundle
from support.runs.cli_runs import run_cli
from support.service.registry_samples import SPEC, smallest_model


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    facts = {"metrics": {}, "promotion": {}, "lineage": {}}
    write_bundle(folder, name="a", architecture="b", detector=SPEC, model=smallest_model(), weights=b"weights", **facts)
    return folder


def test_a_key_is_made_and_shown(tmp_path: Path) -> None:
    made = run_cli("keys", "new", tmp_path / "key")
    assert made.code == 0
    text = made.out.splitlines()[-1]
    assert text.startswith("ed25519:")
    secret = (tmp_path / "key").read_text().splitlines()[1]
    assert secret not in made.out + made.err
    for file in ("key", "key.pub"):
        shown = run_cli("keys", "show", tmp_path / file)
        assert shown.out.splitlines()[0] == text
        assert secret not in shown.out
    again = run_cli("keys", "new", tmp_path / "key")
    assert again.code == 2
    assert "never overwritten" in again.err


def test_a_bundle_is_signed_and_checked(tmp_path: Path, bundle: Path) -> None:
    for key in ("mine", "other"):
        run_cli("keys", "new", tmp_path / key)
    unsigned = run_cli("keys", "verify", bundle, "--trust", tmp_path / "mine.pub")
    assert unsigned.code == 11
    assert "is not signed" in unsigned.err
    assert run_cli("keys", "sign", bundle, tmp_path / "mine").code == 0
    text = run_cli("keys", "show", tmp_path / "mine").out.splitlines()[0]
    assert run_cli("keys", "verify", bundle, "--trust", text).code == 0
    assert run_cli("keys", "verify", bundle, "--trust", tmp_path / "other.pub").code == 11
    both = ["--trust", tmp_path / "other.pub", "--trust", tmp_path / "mine.pub"]
    assert run_cli("keys", "verify", bundle, *both).code == 0


def test_a_public_key_does_not_sign(tmp_path: Path, bundle: Path) -> None:
    run_cli("keys", "new", tmp_path / "key")
    outcome = run_cli("keys", "sign", bundle, tmp_path / "key.pub")
    assert outcome.code == 2
    assert not (bundle / "bundle.json.sig").exists()
