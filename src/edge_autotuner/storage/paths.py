"""The only module that makes paths from text, and the only one that deletes folders.

A name may come from a peer, a file or a setting: `child_path` makes it a path inside a folder, or raises.
`remove_folder` deletes a folder only below another one that the caller names.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
from pathlib import Path
from typing import TypeGuard

from edge_autotuner.errors import EdgeAutotunerError, StorageError

logger = logging.getLogger(__name__)

PLAIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""Letters, digits, dots, dashes and underscores; never a path, never hidden."""

_PLAIN_NAME = re.compile(PLAIN_NAME.removeprefix("^").removesuffix("$"))


def is_plain_name(name: object) -> TypeGuard[str]:
    """Whether a value is text that matches `PLAIN_NAME`."""
    return isinstance(name, str) and _PLAIN_NAME.fullmatch(name) is not None


def child_path(folder: Path, *names: str, error: type[EdgeAutotunerError] = StorageError) -> Path:
    """Return the path of plain names inside a folder, which need not exist.

    Raises:
        EdgeAutotunerError: a name is not a plain one, or a link leads out of the folder.
        ValueError: there is no name.
    """
    if not names:
        raise ValueError("child_path needs a name")
    for name in names:
        if not is_plain_name(name):
            raise error(
                f"{name!r:.80} cannot be a name in {folder}: expected at most 100 letters, digits, dots, dashes and "
                "underscores, starting with a letter or digit"
            )
    path = folder
    has_links = False
    for name in names:
        path = path / name
        has_links = has_links or path.is_symlink()
    if has_links and not _is_inside(path, folder):
        raise error(f"{path} is a link that points outside {folder}; remove it")
    return path


def remove_folder(path: Path, *, below: Path, strict: bool = False) -> bool:
    """Delete a folder with its content, without following links; return whether it is gone.

    A failure is logged with path and errno and not raised, so that a `finally` keeps its first error.

    Args:
        path: the folder; of a link to one, only the link is deleted.
        below: folder that must contain it.
        strict: raise a failure instead of logging it.

    Raises:
        StorageError: with `strict`: it is not inside `below`, or the disk refuses.
    """
    try:
        _check_inside(path, below)
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path)
    except FileNotFoundError:
        return not os.path.lexists(path)
    except OSError as exc:
        number = errno.errorcode.get(exc.errno or 0, "no errno")
        message = f"cannot remove {path}: {exc.strerror or exc} ({number}); remove it by hand"
        if strict:
            raise StorageError(message) from exc
        logger.error("%s", message)
        return False
    return True


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a path with links in it leads into a folder; a loop of links does not."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False


def _check_inside(path: Path, below: Path) -> None:
    """Refuse a path that is not strictly inside a folder; of a link, its own place counts, not its target."""
    if path.name in {"", ".", ".."}:
        raise PermissionError(errno.EPERM, f"not a folder inside {below}")
    if not path.parent.resolve().is_relative_to(below.resolve()):
        raise PermissionError(errno.EPERM, f"not inside {below}")
