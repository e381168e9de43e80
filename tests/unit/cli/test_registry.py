"""`edge-autotuner registry`: a model goes to a service, is deployed and taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_autotuner.deployment import write_bundle
from support.runs.cli_runs import Outcome, run_cli
from support.service.registry_samples import SPEC, Parts, open_parts, small_service_on_loopback, smallest_model


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = open_parts(tmp_path)
    yield made
    made.close()


@pytest.fixture
def registry(parts: Parts, tmp_path: Path) -> Iterator[Callable[..., Outcome]]:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(parts.tokens.add("operator", ["train", "deploy"]).text + "\n")
    with small_service_on_loopback(parts) as url:
        yield lambda *arguments: run_cli("registry", *arguments, "--url", url, "--token-file", token)


def bundle(folder: Path, name: str) -> Path:
    facts = {"metrics": {}, "promotion": {}, "lineage": {}}
    write_bundle(
        folder / name, name=name, architecture="a", detector=SPEC, model=smallest_model("m"), weights=b"w", **facts
    )
    return folder / name


def test_the_life_of_a_model(registry: Callable[..., Outcome], parts: Parts, tmp_path: Path) -> None:
    ids = []
    for name in ("first", "second", "third"):
        outcome = registry("add", "gate", bundle(tmp_path, name))
        assert outcome.code == 0, outcome.err
        assert outcome.out.endswith("  candidate  not signed\n")
        ids.append(outcome.out.split()[0])
    first, second, third = ids
    assert registry("rollback", "gate").code == 18
    for bundle_id in (first, second):
        assert registry("promote", "gate", bundle_id).out == f"gate will run {bundle_id} when its node next polls\n"
    assert registry("cameras").out == f"gate  {second}\n"
    assert registry("rollback", "gate").out == f"gate will run {first} instead of {second} when its node next polls\n"
    assert registry("archive", "gate", third).code == 0
    shown = [line.split()[:3] for line in registry("list", "gate").out.splitlines()]
    assert sorted(shown) == sorted(
        [[first, "deployed", "first"], [second, "archived", "second"], [third, "archived", "third"]]
    )
    assert {client for action, client, _ in parts.actions() if action.startswith("bundle")} == {"operator"}


def test_a_signature_travels_with_the_model(registry: Callable[..., Outcome], parts: Parts, tmp_path: Path) -> None:
    run_cli("keys", "new", tmp_path / "key")
    folder = bundle(tmp_path, "first")
    run_cli("keys", "sign", folder, tmp_path / "key")
    added = registry("add", "gate", folder, "--parent", "b0")
    assert added.out.endswith("  candidate  signed\n")
    parts.registry.promote("gate", added.out.split()[0], client="x")
    deployed = parts.registry.deployed("gate")
    assert deployed is not None
    assert deployed.signature == (folder / "bundle.json.sig").read_text().strip()
    assert deployed.description.encode() == (folder / "bundle.json").read_bytes()
    assert deployed.parent == "b0"


def test_mistakes_are_explained(registry: Callable[..., Outcome]) -> None:
    unknown = registry("list", "nowhere")
    assert unknown.code == 18
    assert "no camera 'nowhere'" in unknown.err
    wrong = run_cli("registry", "cameras", "--url", "ftp://service")
    assert wrong.code == 2
    assert "expected http://HOST" in wrong.err
