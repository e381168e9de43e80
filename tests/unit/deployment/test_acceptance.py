"""Only whole bundles that somebody trusted signed are accepted; what is refused changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_autotuner.deployment import deploy, deployed_bundle, install_bundle, read_bundle
from edge_autotuner.deployment.acceptance import (
    accept_bundle,
    check_signature,
    read_signature,
    sign_bundle,
    signature_from_text,
    signature_to_text,
    write_signature,
)
from edge_autotuner.deployment.signing import SigningKey
from edge_autotuner.errors import ModelBundleError
from unit.deployment.test_bundle import made

MINE = SigningKey(Ed25519PrivateKey.from_private_bytes(b"m" * 32))
OTHER = SigningKey(Ed25519PrivateKey.from_private_bytes(b"o" * 32))


def signed(folder: Path, key: SigningKey = MINE) -> Path:
    made(folder)
    sign_bundle(folder, key)
    return folder


def test_a_signed_bundle_is_accepted(tmp_path: Path) -> None:
    folder = signed(tmp_path / "b")
    accepted = accept_bundle(folder, [MINE.public])
    assert accepted == read_bundle(folder)
    assert accept_bundle(folder, [OTHER.public, MINE.public]) == accepted
    assert accept_bundle(folder, []) == accepted


def test_without_trusted_keys_an_unsigned_bundle_is_accepted(tmp_path: Path) -> None:
    made(tmp_path / "b")
    assert accept_bundle(tmp_path / "b", []) == read_bundle(tmp_path / "b")


def change_metrics(folder: Path) -> None:
    path = folder / "bundle.json"
    description = json.loads(path.read_text())
    description["metrics"] = {"ap": 1.0}
    path.write_text(json.dumps(description, indent=2) + "\n")


def change_space(folder: Path) -> None:
    path = folder / "bundle.json"
    path.write_bytes(path.read_bytes() + b" ")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(change_metrics, "not signed by a trusted key", id="description"),
        pytest.param(change_space, "not signed by a trusted key", id="one-space"),
        pytest.param(lambda f: (f / "model.onnx").write_bytes(b"other"), "bytes instead of", id="model"),
        pytest.param(
            lambda f: (f / "weights.safetensors").write_bytes(b"w3ights"),
            "weights.safetensors was modified",
            id="weights",
        ),
        pytest.param(lambda f: (f / "bundle.json.sig").unlink(), "is not signed", id="no-signature"),
        pytest.param(lambda f: (f / "bundle.json.sig").write_text(""), "has 64 bytes, got 0", id="empty-signature"),
        pytest.param(lambda f: (f / "bundle.json.sig").write_text("?"), "not base64", id="no-base64"),
        pytest.param(lambda f: (f / "bundle.json.sig").write_bytes(b"\xff" * 999), "not base64", id="noise"),
        pytest.param(lambda f: (f / "bundle.json").unlink(), "is not a model bundle", id="no-description"),
        pytest.param(lambda f: sign_bundle(f, OTHER), "not signed by a trusted key", id="other-key"),
        pytest.param(
            lambda f: write_signature(f, MINE.sign(b"another bundle")), "not signed by a trusted key", id="other-bundle"
        ),
    ],
)
def test_anything_else_is_refused_and_the_old_model_stays(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    old = signed(tmp_path / "bundles" / "old")
    deploy(tmp_path, "old")
    new = signed(tmp_path / "bundles" / "new")
    damage(new)
    with pytest.raises(ModelBundleError, match=message):
        accept_bundle(new, [MINE.public])
    assert deployed_bundle(tmp_path) == old
    assert accept_bundle(old, [MINE.public])


def test_a_signature_is_checked_before_anything_is_fetched(tmp_path: Path) -> None:
    content = (signed(tmp_path / "b") / "bundle.json").read_bytes()
    signature = signature_from_text(signature_to_text(MINE.sign(content)))
    assert check_signature(content, signature, [OTHER.public, MINE.public]) == MINE.public
    for given, trusted in ((signature, [OTHER.public]), (signature, []), (None, [MINE.public])):
        with pytest.raises(ModelBundleError):
            check_signature(content, given, trusted)


def test_nothing_damaged_is_signed(tmp_path: Path) -> None:
    made(tmp_path / "b")
    (tmp_path / "b" / "weights.safetensors").write_bytes(b"w3ights")
    with pytest.raises(ModelBundleError, match="was modified"):
        sign_bundle(tmp_path / "b", MINE)
    assert read_signature(tmp_path / "b") is None


def test_signing_again_replaces_the_signature(tmp_path: Path) -> None:
    folder = signed(tmp_path / "b")
    sign_bundle(folder, OTHER)
    assert accept_bundle(folder, [OTHER.public])
    with pytest.raises(ModelBundleError):
        accept_bundle(folder, [MINE.public])


def test_a_bundle_is_installed_with_its_signature(tmp_path: Path) -> None:
    source, output = signed(tmp_path / "b"), tmp_path / "output"
    installed = install_bundle(source, output, "new", trusted=[OTHER.public, MINE.public])
    assert accept_bundle(installed.folder, [MINE.public]) == installed
    again = install_bundle(source, output, "new", trusted=[MINE.public])
    assert again == installed


@pytest.mark.parametrize("key", [None, OTHER])
def test_a_bundle_without_a_trusted_signature_is_not_installed(tmp_path: Path, key: SigningKey | None) -> None:
    source, output = made(tmp_path / "b").folder, tmp_path / "output"
    if key is not None:
        sign_bundle(source, key)
    with pytest.raises(ModelBundleError, match="sign"):
        install_bundle(source, output, "new", trusted=[MINE.public])
    assert not output.exists()
