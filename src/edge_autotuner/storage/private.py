"""Who may read what a service or a node keeps, such as pictures of people: only its owner, unless told otherwise.

The processes that keep such data call `keep_private` before they make anything: from then on whatever they and their
children create, through any library, is theirs alone, and what an earlier version left open is closed.
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
    """Make a folder that only its owner may enter, and let this process create nothing that others may read.

    What this program has there already is closed to others as well, and a line in the log says so. Where somebody else
    has something in the folder too, such as in a home directory, that and the folder itself keep their rights.

    Args:
        folder: of everything that is kept; made if new.
        is_own: whether what is directly in the folder was made by this program, or for it alone.
        for_group: members of its group may read.

    Raises:
        StorageError: it cannot be made.
    """
    forbidden = _OTHERS | _GROUP_WRITES if for_group else _GROUP_AND_OTHERS
    os.umask(forbidden)
    make_private_folder(folder, is_own=is_own, forbidden=forbidden)


def make_private_folder(
    folder: Path, *, is_own: Callable[[Path], bool] = lambda _: True, forbidden: int = _GROUP_AND_OTHERS
) -> None:
    """Make a folder without the forbidden rights, or take these from one that is there and what is its own in it.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o777 & ~forbidden)
        if not folder.is_dir():
            raise StorageError(f"cannot write {folder}: a file has this name; choose another folder")
    except OSError as exc:
        raise StorageError(f"cannot make {folder}: {exc.strerror}; choose a folder that you may write to") from exc
    folder = folder.resolve()  # a link's own rights say nothing
    was = _mode(folder)
    entries = sorted(folder.iterdir())
    own = [path for path in entries if is_own(path)]
    if len(own) < len(entries):
        foreign = next(path.name for path in entries if path not in own)
        logger.warning("%s also holds what is not ours, such as %s: its own mode %o stays", folder, foreign, was)
        closed = [path for top in own for path in (top, *_below(top)) if _close(path, forbidden)]
    else:
        inner = _below(folder) if was & forbidden else entries  # nobody got further than a closed folder
        closed = [path for path in (folder, *inner) if _close(path, forbidden)]
    if closed:
        logger.warning(
            "%s had mode %o, which gave others access: it was removed from %d files and folders",
            folder,
            was,
            len(closed),
        )


def make_private_file(path: Path) -> None:
    """Create an empty file that only its owner reads; one that is there is closed to others, and not opened.

    Raises:
        OSError: it cannot be created.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _below(folder: Path) -> Iterator[Path]:
    if folder.is_symlink():
        return
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))


def _close(path: Path, forbidden: int) -> bool:
    """Take rights from a file or folder, not from what a link leads to; return whether it had them."""
    try:
        if path.is_symlink() or not _mode(path) & forbidden:
            return False
        path.chmod(_mode(path) & ~forbidden)
    except FileNotFoundError:
        return False  # it has gone meanwhile
    except OSError as exc:
        logger.warning("others can read %s, and its permissions cannot be changed: %s", path, exc.strerror)
        return False
    return True


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
