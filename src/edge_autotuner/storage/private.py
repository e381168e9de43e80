"""Permissions of the data of a service or node, such as pictures of people: readable by its owner only, by default.

Processes call `keep_private` before they create anything. Whatever they and their children create from then on, through
any library, is private, and files that an earlier version left open are closed.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from edge_autotuner.errors import StorageError

logger = logging.getLogger(__name__)

_OTHERS = stat.S_IRWXO
_GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_GROUP_WRITES = stat.S_IWGRP


def keep_private(folder: Path, *, is_own: Callable[[Path], bool], for_group: bool = False) -> None:
    """Make a private folder, and let this process create private files only.

    Existing entries of this program are closed to others as well, which is logged. In a folder with foreign entries,
    such as a home directory, these and the folder itself keep their permissions.

    Args:
        folder: made if new.
        is_own: whether an entry of the folder belongs to this program.
        for_group: lets the folder's group read.

    Raises:
        StorageError: it cannot be made.
    """
    forbidden = _OTHERS | _GROUP_WRITES if for_group else _GROUP_AND_OTHERS
    os.umask(forbidden)
    make_private_folder(folder, is_own=is_own, forbidden=forbidden)


def make_private_folder(
    folder: Path, *, is_own: Callable[[Path], bool] = lambda _: True, forbidden: int = _GROUP_AND_OTHERS
) -> None:
    """Make a folder without the forbidden permissions, or take them from an existing one and its own entries.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o777 & ~forbidden)
        if not folder.is_dir():
            raise StorageError(f"cannot create {folder}: a file has this name; choose another folder")
    except OSError as exc:
        raise StorageError(f"cannot create {folder}: {exc.strerror}; choose a folder that you can write to") from exc
    folder = folder.resolve()  # the permissions of a link say nothing
    was = _mode(folder)
    entries = sorted(folder.iterdir())
    own = [path for path in entries if is_own(path)]
    if len(own) < len(entries):
        foreign = next(path.name for path in entries if path not in own)
        logger.warning("%s also contains other files, e.g. %s; keeping its mode %o", folder, foreign, was)
        closed = [path for top in own for path in (top, *_below(top)) if _close(path, forbidden)]
    else:
        inner = _below(folder) if was & forbidden else entries  # nobody got further than a closed folder
        closed = [path for path in (folder, *inner) if _close(path, forbidden)]
    if closed:
        logger.warning(
            "%s had mode %o; removed other users' access to %d files and folders",
            folder,
            was,
            len(closed),
        )


def make_private_file(path: Path) -> None:
    """Create an empty private file, unless it exists; an existing one is not opened. Raises `OSError`."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _below(folder: Path) -> Iterator[Path]:
    if folder.is_symlink():
        return
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))


def _close(path: Path, forbidden: int) -> bool:
    """Take permissions from a file or folder, but not from the target of a link; return whether it had them."""
    try:
        if path.is_symlink() or not _mode(path) & forbidden:
            return False
        path.chmod(_mode(path) & ~forbidden)
    except FileNotFoundError:
        return False  # it has gone meanwhile
    except OSError as exc:
        logger.warning("other users can read %s, and its permissions cannot be changed: %s", path, exc.strerror)
        return False
    return True


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
