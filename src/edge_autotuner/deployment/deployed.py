"""The bundles of an output folder: install one, deploy one, find the deployed one.

    <output>/bundles/<name>/   every bundle that was made, promoted or not
    <output>/bundle            a link to the deployed one
    <folder>/registry.json     the registry's ID of a bundle, or of the deployment that a camera has carried out last

The link is swapped in one step, so a reader always finds the old or the new bundle, also after a kill. It is
relative: the output folder can be moved or copied.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from edge_autotuner.core.json_limits import load_json
from edge_autotuner.deployment.acceptance import check_signature, read_signature, signature_to_text, write_signature
from edge_autotuner.deployment.bundle import (
    DESCRIPTION_FILE,
    SIGNATURE_FILE,
    ModelBundle,
    check_model_file,
    parse_description,
    read_bundle,
    read_description,
    write_bundle_folder,
)
from edge_autotuner.deployment.signing import PublicKey
from edge_autotuner.errors import ModelBundleError
from edge_autotuner.storage import child_path, is_plain_name
from edge_autotuner.storage.atomic import TEMPORARY_SUFFIX, atomic_write_json, storage_errors, sync_folder

BUNDLES_FOLDER = "bundles"
DEPLOYED_LINK = "bundle"
NOTE_FILE = "registry.json"


def deploy(folder: Path, name: str) -> None:
    """Make `bundles/<name>` the deployed bundle of an output folder.

    Raises:
        ModelBundleError: there is no such bundle, or it is damaged; nothing changes.
        StorageError: the link cannot be written; nothing changes.
    """
    link = folder / DEPLOYED_LINK
    read_bundle(_bundle_path(folder, name))
    if link.exists() and not link.is_symlink():
        raise ModelBundleError(f"{link} is not a link to a bundle; move it away and deploy again")
    temporary = folder / f".{DEPLOYED_LINK}.{os.getpid()}{TEMPORARY_SUFFIX}"
    with storage_errors(link):
        with suppress(FileNotFoundError):  # left by a killed process that had the same number
            temporary.unlink()
        try:
            temporary.symlink_to(Path(BUNDLES_FOLDER, name), target_is_directory=True)
            os.replace(temporary, link)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        sync_folder(folder)


def deployed_bundle(folder: Path) -> Path | None:
    """Return the folder of the deployed bundle, or None if nothing has been deployed.

    Raises:
        ModelBundleError: the link leads out of `bundles/`, or to a bundle that is gone.
    """
    link = folder / DEPLOYED_LINK
    if not link.is_symlink():
        return None
    target = Path(os.readlink(link))
    if target.parent != Path(BUNDLES_FOLDER):
        raise ModelBundleError(f"{link} points to {target}, not into {BUNDLES_FOLDER}/; remove it and deploy again")
    path = _bundle_path(folder, target.name)
    if not path.is_dir():
        raise ModelBundleError(f"{link} points to {target}, which no longer exists; deploy another bundle")
    return path


def bundle_folder(path: Path) -> Path:
    """Return the bundle that a path names: the folder itself, or the deployed bundle of an output folder.

    Raises:
        ModelBundleError: there is neither.
    """
    if (path / DESCRIPTION_FILE).is_file():
        return path
    deployed = deployed_bundle(path)
    if deployed is None:
        raise ModelBundleError(
            f"{path} is neither a bundle nor the folder of a run: it has no {DESCRIPTION_FILE} and no {DEPLOYED_LINK}"
        )
    return deployed


def install_bundle(source: Path, output: Path, name: str, *, trusted: Sequence[PublicKey] = ()) -> ModelBundle:
    """Copy a bundle with its signature to `bundles/<name>` of an output folder, whole or not at all.

    Description and signature are read once, so the verified bytes are copied. An existing equal bundle is used.

    Args:
        source: folder of the bundle.
        output: the output folder.
        name: a plain name; where another bundle has it, -2, -3, ... is added.
        trusted: keys, one of which must have signed it; none: only hashes are checked, see `accept_bundle`.

    Raises:
        ModelBundleError: the source is damaged, changed while it was copied, or nobody trusted has signed it.
        MissingDependency: there are trusted keys, and `cryptography` is not installed.
        StorageError: the disk refused; nothing is left of the copy.
        ValueError: the name is not a plain one.
    """
    description, signature = read_description(source), read_signature(source)
    if trusted:
        check_signature(description, signature, trusted)
    original = parse_description(description, source)
    model = original.read_model()
    check_model_file(model)
    contents = {DESCRIPTION_FILE: description, original.model.name: model}
    contents[original.weights.name] = original.read_weights()
    if signature is not None:
        contents[SIGNATURE_FILE] = signature_to_text(signature).encode() + b"\n"
    free = new_bundle_folder(output, name)
    folder = _same_bundle(output, name, description)
    if folder is None:
        write_bundle_folder(free, contents)
    elif signature is not None:
        write_signature(folder, signature)
    return read_bundle(folder or free)


def new_bundle_folder(folder: Path, name: str) -> Path:
    """Return a free folder for a new bundle: `bundles/<name>`, with -2, -3, ... appended where that is taken.

    Raises:
        ValueError: the name is not a plain one.
    """
    if not is_plain_name(name):
        raise ValueError(f"a bundle's name may have letters, digits, dots, dashes and underscores, got {name!r}")
    path, n = child_path(folder / BUNDLES_FOLDER, name), 1
    while path.exists():
        n += 1
        path = path.with_name(f"{name}-{n}")
    return path


def registry_id(folder: Path) -> str | None:
    """Return the registry's ID that was noted in a folder; None where there is none, or it is damaged."""
    try:
        values = load_json((folder / NOTE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    found = values.get("id") if isinstance(values, dict) else None
    return found if is_plain_name(found) else None


def note_registry_id(folder: Path, bundle_id: str) -> None:
    """Store the registry's ID in a folder."""
    atomic_write_json(folder / NOTE_FILE, {"id": bundle_id})


def _same_bundle(output: Path, name: str, description: bytes) -> Path | None:
    """Return the folder that holds this very bundle, undamaged; None if there is none."""
    for path in (output / BUNDLES_FOLDER).glob(f"{name}*"):
        if (path / DESCRIPTION_FILE).is_file() and (path / DESCRIPTION_FILE).read_bytes() == description:
            with suppress(ModelBundleError):
                read_bundle(path)
                return path
    return None


def _bundle_path(folder: Path, name: str) -> Path:
    return child_path(folder / BUNDLES_FOLDER, name, error=ModelBundleError)
