"""One writer per folder. Only this module uses file locks, and reports file systems without them."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from typing import Self

from edge_autotuner.errors import DatasetError, StorageError
from edge_autotuner.storage.atomic import storage_errors

LOCK_NAME = ".lock"

_POLL_S = 0.05
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


class FolderLock:
    """The exclusive right to write in a folder, held until `release` or the end of the process.

    The kernel frees it when the holder dies, so a kill never leaves a folder locked. The file itself stays.

    Raises:
        DatasetError: another writer, in this process or another, holds it.
        StorageError: the lock file cannot be created, or the file system has no locks.
    """

    def __init__(self, folder: Path) -> None:
        self._path = path = folder / LOCK_NAME
        with storage_errors(path):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                lock_file(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB, path)
            except BlockingIOError:
                os.close(self._handle)
                raise DatasetError(
                    f"{folder} is being written by another run; wait for it, or choose another folder"
                ) from None
            except BaseException:
                os.close(self._handle)
                raise

    @classmethod
    def within(cls, folder: Path, wait_s: float) -> Self:
        """Wait up to `wait_s` for another writer; raises as the constructor."""
        until_s = time.monotonic() + wait_s
        while True:
            try:
                return cls(folder)
            except DatasetError:
                if time.monotonic() >= until_s:
                    raise
                time.sleep(_POLL_S)

    def release(self) -> None:
        """Let others write; a second call does nothing."""
        if self._handle >= 0:
            lock_file(self._handle, fcntl.LOCK_UN, self._path)  # frees it even while a forked child has the handle
            os.close(self._handle)
            self._handle = -1


def lock_file(handle: int, operation: int, path: Path) -> None:
    """Lock or unlock an open file with `flock`.

    Raises:
        BlockingIOError: another writer holds it, with LOCK_NB.
        StorageError: the file system has no locks.
        OSError: anything else.
    """
    try:
        fcntl.flock(handle, operation)
    except OSError as exc:
        if exc.errno not in _NO_LOCKS:
            raise
        raise StorageError(
            f"the file system of {path.parent} cannot lock files ({errno.errorcode[exc.errno or 0]}), so two programs "
            "could write to it at once; choose a folder on a local disk, or mount it with locks (NFS: start the lock "
            "service, mount without nolock)"
        ) from exc
