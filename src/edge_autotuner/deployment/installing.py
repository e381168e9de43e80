"""Brings a bundle from elsewhere into an output folder, whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from edge_autotuner.dataset.atomic import (
    TEMPORARY_SUFFIX,
    atomic_write_bytes,
    make_folder,
    storage_errors,
    sync_folder,
)
from edge_autotuner.deployment.bundle import DESCRIPTION_FILE, ModelBundle, read_bundle
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
    original = read_bundle(source)
    description = (source / DESCRIPTION_FILE).read_bytes()
    folder = _place_for(output, name, description)
    if folder.is_dir():
        return read_bundle(folder)
    contents = {
        DESCRIPTION_FILE: description,
        original.model.name: original.model_path.read_bytes(),
        original.weights.name: original.weights_path.read_bytes(),
    }
    make_folder(folder.parent)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a killed process that had the same number
    try:
        make_folder(temporary)
        for file_name, content in contents.items():
            atomic_write_bytes(temporary / file_name, content)
        read_bundle(temporary)
        with storage_errors(folder):
            temporary.rename(folder)
            sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
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
