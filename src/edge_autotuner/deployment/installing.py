"""Brings a bundle from elsewhere into an output folder, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.deployment.bundle import (
    DESCRIPTION_FILE,
    ModelBundle,
    parse_description,
    read_bundle,
    read_description,
    write_bundle_folder,
)
from edge_autotuner.deployment.deployed import BUNDLES_FOLDER, new_bundle_folder
from edge_autotuner.errors import ModelBundleError


def install_bundle(source: Path, output: Path, name: str) -> ModelBundle:
    """Copy a bundle to `bundles/<name>` of an output folder; one that is there already is used as it is.

    Args:
        source: folder of the bundle.
        output: folder that keeps several bundles.
        name: a plain name; where another bundle has it, -2, -3, ... is added.

    Raises:
        ModelBundleError: the source is damaged, or changed while it was copied.
        StorageError: the disk refused; nothing is left of the copy.
        ValueError: the name is not a plain one.
    """
    description = read_description(source)  # once: what is verified is what is copied
    original = parse_description(description, source)
    contents = {
        DESCRIPTION_FILE: description,
        original.model.name: original.read_model(),
        original.weights.name: original.read_weights(),
    }
    folder = _place_for(output, name, description)
    if not folder.is_dir():
        write_bundle_folder(folder, contents)
    return read_bundle(folder)


def _place_for(output: Path, name: str, description: bytes) -> Path:
    """Return the folder that holds this very bundle, or a free one."""
    free = new_bundle_folder(output, name)
    candidates = [path for path in (output / BUNDLES_FOLDER).glob(f"{name}*") if (path / DESCRIPTION_FILE).is_file()]
    same = [path for path in candidates if (path / DESCRIPTION_FILE).read_bytes() == description]
    for path in same:
        try:
            read_bundle(path)
        except ModelBundleError:
            continue  # damaged on this disk: the source replaces it under another name
        return path
    return free
