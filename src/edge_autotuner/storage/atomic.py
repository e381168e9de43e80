"""Atomic writes, and disk errors that say what to do.

Readers, and a run that continues after a kill or a power cut, see the old file or the new one, never a part of either:
the bytes are written to a temporary file in the same folder and synced before the file gets its name.
"""

from __future__ import annotations

import errno
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_autotuner.core.file_names import shortened, utf8_json, utf8_text
from edge_autotuner.errors import StorageError
from edge_autotuner.storage.paths import remove_folder

TEMPORARY_SUFFIX = ".tmp"

_WRITER = re.compile(r"\.(\d{1,7})(?:-(\d+))?\.tmp$")  # at the end of a temporary's name: its process, and thread

_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}

_ADVICE = {
    errno.ENOSPC: "free some space or choose another output folder; what was written before is intact",
    errno.EDQUOT: "free some of your quota or choose another output folder; what was written before is intact",
    errno.EFBIG: "raise the file size limit (ulimit -f) or choose another file system",
    errno.EROFS: "choose an output folder on a file system that is not read-only",
    errno.EACCES: "choose an output folder that you can write to, or change its permissions",
    errno.EPERM: "choose an output folder that you can write to, or change its permissions",
    errno.ENOENT: "create the folder, or find out what removed it",
    errno.EIO: "check the disk; back up its files soon",
}


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write a file in one step: readers see the old content or all of the new one.

    Raises:
        StorageError: the disk is full, read-only, or refuses; a file that was there is untouched.
    """
    temporary = temporary_name(path)
    with storage_errors(path):
        try:
            _write_and_sync(temporary, data)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)


def temporary_name(path: Path) -> Path:
    """Return the name beside `path` under which this thread writes it, until it is complete."""
    return path.with_name(f".{shortened(path.name)}.{os.getpid()}-{threading.get_ident()}{TEMPORARY_SUFFIX}")


def atomic_write_text(path: Path, text: str) -> None:
    """Write UTF-8 text in one step; see `atomic_write_bytes`, and `core.file_names` for names that are not UTF-8."""
    atomic_write_bytes(path, utf8_text(text))


def atomic_write_json(path: Path, value: object, *, indent: int | None = None) -> None:
    """Write strict JSON in one step; see `atomic_write_bytes`.

    Raises:
        ValueError: a number is NaN or infinite.
        StorageError: as `atomic_write_bytes`.
    """
    separators = None if indent else (",", ":")
    text = json.dumps(value, indent=indent, separators=separators, allow_nan=False, ensure_ascii=False)
    atomic_write_bytes(path, utf8_json(text + "\n"))


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` of writing `path` into a `StorageError` that says what to do."""
    try:
        yield
    except OSError as exc:
        advice = _ADVICE.get(exc.errno or 0, "check the disk and the output folder")
        reason = exc.strerror or str(exc) or type(exc).__name__
        raise StorageError(f"cannot write {path}: {reason}; {advice}") from exc


def make_folder(path: Path) -> None:
    """Create a folder with its parents, unless it exists; raises `StorageError` if that fails."""
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Let new names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def link_or_copy(source: Path, path: Path, *, before_copy: Callable[[int], None]) -> None:
    """Hard-link a file that never changes; copy it where the disk has no hard links.

    Args:
        source: the file.
        path: its new name, replaced if it exists.
        before_copy: called with the size of a copy; may raise.

    Raises:
        StorageError: the disk is full or refuses.
    """
    with storage_errors(path):
        path.unlink(missing_ok=True)
        try:
            os.link(source, path)
            return
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise
    content = source.read_bytes()
    before_copy(len(content))
    atomic_write_bytes(path, content)


def remove_temporaries(folder: Path) -> None:
    """Delete temporaries of killed writers; only for the single writer of a folder."""
    for leftover in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        with suppress(OSError):
            leftover.unlink()


def remove_leftovers(folder: Path) -> None:
    """Delete temporaries of dead processes of this machine; others may write at the same time."""
    for leftover in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        writer = _WRITER.search(leftover.name)
        if writer is None or is_alive(int(writer[1]), int(writer[2] or 0)):
            continue
        with suppress(OSError):
            if leftover.is_dir() and not leftover.is_symlink():
                remove_folder(leftover, below=folder)
            else:
                leftover.unlink()


def write_all(handle: int, data: bytes) -> None:
    """Write all bytes to a file handle, which may take several system calls."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def is_alive(process: int, thread: int) -> bool:
    """Whether a process of this machine, or for our own process a thread (0: any), still runs."""
    if process == os.getpid():  # in a container, the killed process had the same number
        return thread in {0, *(running.ident for running in threading.enumerate())}
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def _write_and_sync(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        write_all(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
