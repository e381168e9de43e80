"""Accepts a bundle: complete, unchanged, and signed with a trusted key.

The signature covers the bytes of the description, which holds the hashes of everything else. It is stored as base64 in
`bundle.json.sig`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path

from edge_autotuner.core.printable import one_line
from edge_autotuner.deployment.bundle import (
    SIGNATURE_FILE,
    ModelBundle,
    parse_description,
    read_description,
    verify_files,
)
from edge_autotuner.deployment.signing import SIGNATURE_BYTES, PublicKey, SigningKey, find_signer
from edge_autotuner.errors import ModelBundleError
from edge_autotuner.storage.atomic import atomic_write_text

CAMERA = "camera"
"""Key in the lineage of a bundle: the camera that it was made for. The signature covers it."""

_MAX_SIGNATURE_CHARACTERS = 200


def accept_bundle(folder: Path, trusted: Sequence[PublicKey]) -> ModelBundle:
    """Read a bundle that came from elsewhere, and verify all of it before anything is used.

    Args:
        folder: of the bundle.
        trusted: keys, one of which must have signed it; none: only hashes are checked, which detects damage, but not
            forgery.

    Raises:
        ModelBundleError: it is damaged, not signed, or not signed by a trusted key.
        MissingDependency: there are trusted keys, and `cryptography` is not installed.
    """
    content = read_description(folder)  # once: what was signed is what is read
    if trusted:
        check_signature(content, read_signature(folder), trusted)
    bundle = parse_description(content, folder)
    verify_files(bundle)
    return bundle


def check_signature(description: bytes, signature: bytes | None, trusted: Sequence[PublicKey]) -> PublicKey:
    """Return the trusted key that signed a description.

    Raises:
        ModelBundleError: there is no signature, or none of a trusted key.
        MissingDependency: `cryptography` is not installed.
    """
    if signature is None:
        raise ModelBundleError(
            "the bundle is not signed, and only signed bundles are trusted here; sign it and add it again"
        )
    signer = find_signer(description, signature, trusted)
    if signer is None:
        known = ", ".join(key.fingerprint for key in trusted) or "none"
        raise ModelBundleError(f"the bundle is not signed by a trusted key ({known}), or its description was modified")
    return signer


def check_camera(bundle: ModelBundle, camera: str, *, others: Sequence[str] = ()) -> None:
    """Refuse a bundle that was made for another camera; one that names none, as in earlier versions, fits all.

    Raises:
        ModelBundleError: it names another camera.
    """
    made_for = bundle.lineage.get(CAMERA)
    if made_for is not None and made_for not in (camera, *others):
        raise ModelBundleError(
            f"the bundle is for the camera '{one_line(str(made_for), 100)}', not for '{camera}'; deploy a bundle of "
            "this camera, or list the other camera in registry.runs_models_of"
        )


def sign_bundle(folder: Path, key: SigningKey) -> bytes:
    """Verify a bundle, sign it, and return the signature.

    Raises:
        ModelBundleError: it is damaged, and not signed.
        StorageError: the signature cannot be written.
    """
    content = read_description(folder)
    verify_files(parse_description(content, folder))
    signature = key.sign(content)
    write_signature(folder, signature)
    return signature


def write_signature(folder: Path, signature: bytes) -> None:
    """Store the signature of a bundle; raises `StorageError` if the disk refuses."""
    atomic_write_text(folder / SIGNATURE_FILE, signature_to_text(signature) + "\n")


def read_signature(folder: Path) -> bytes | None:
    """Return the signature of a bundle; None for an unsigned one.

    Raises:
        ModelBundleError: the file is not a signature.
    """
    path = folder / SIGNATURE_FILE
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            text = file.read(_MAX_SIGNATURE_CHARACTERS)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ModelBundleError(f"cannot read {path}: {exc.strerror}") from exc
    return signature_from_text(text.strip())


def signature_to_text(signature: bytes) -> str:
    """Return a signature as base64."""
    return base64.b64encode(signature).decode()


def signature_from_text(text: str) -> bytes:
    """Return the 64 bytes of a signature in base64.

    Raises:
        ModelBundleError: it is not one.
    """
    try:
        signature = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ModelBundleError(f"a bundle's signature is not base64: {exc}") from exc
    if len(signature) != SIGNATURE_BYTES:
        raise ModelBundleError(f"a bundle's signature has {SIGNATURE_BYTES} bytes, got {len(signature)}")
    return signature
