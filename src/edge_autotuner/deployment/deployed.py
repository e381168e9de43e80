"""Which of the bundles in an output folder is the deployed one.

    <output>/bundles/<name>/   every bundle that was made, promoted or not
    <output>/bundle            a link to the deployed one

The link is swapped in one step, so a reader always finds the old or the new bundle, also after a kill. It is
relative: the output folder can be moved or copied.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from edge_autotuner.deployment.bundle import DESCRIPTION_FILE, read_bundle
from edge_autotuner.errors import ModelBundleError
from edge_autotuner.storage import child_path, is_plain_name
from edge_autotuner.storage.atomic import TEMPORARY_SUFFIX, storage_errors, sync_folder

BUNDLES_FOLDER = "bundles"
DEPLOYED_LINK = "bundle"


def deploy(folder: Path, name: str) -> None:
    """Make `bundles/<name>` the deployed bundle of an output folder.

    Raises:
        ModelBundleError: there is no such bundle, or it is damaged; the deployed one stays.
        StorageError: the link cannot be written; the deployed one stays.
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
        raise ModelBundleError(f"{link} leads to {target}, not into {BUNDLES_FOLDER}/; remove it and deploy again")
    path = _bundle_path(folder, target.name)
    if not path.is_dir():
        raise ModelBundleError(f"{link} leads to {target}, which is gone; deploy another bundle")
    return path


def bundle_folder(path: Path) -> Path:
    """Return the bundle that a user means: the folder itself, or the deployed bundle of an output folder.

    Raises:
        ModelBundleError: there is neither.
    """
    if (path / DESCRIPTION_FILE).is_file():
        return path
    deployed = deployed_bundle(path)
    if deployed is None:
        raise ModelBundleError(
            f"{path} is neither a model bundle nor the output folder of a run: it has no {DESCRIPTION_FILE} "
            f"and no {DEPLOYED_LINK}"
        )
    return deployed


def new_bundle_folder(folder: Path, name: str) -> Path:
    """Return a free folder for a new bundle: `bundles/<name>`, or with -2, -3, ... behind it.

    Raises:
        ValueError: the name is not a plain one.
    """
    if not is_plain_name(name):
        raise ValueError(f"a bundle's name has letters, digits, dots, dashes and underscores, got {name!r}")
    path, n = child_path(folder / BUNDLES_FOLDER, name), 1
    while path.exists():
        n += 1
        path = path.with_name(f"{name}-{n}")
    return path


def _bundle_path(folder: Path, name: str) -> Path:
    return child_path(folder / BUNDLES_FOLDER, name, error=ModelBundleError)
