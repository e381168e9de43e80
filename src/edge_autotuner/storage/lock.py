"""One writer per folder."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Self

from edge_autotuner.errors import DatasetError
from edge_autotuner.storage.atomic import storage_errors

LOCK_NAME = ".lock"

_POLL_S = 0.05


class FolderLock:
    """The right to write in a folder, held until `release` or the end of the process.

    The kernel frees it when the holder dies, so a kill never leaves a folder locked. The file itself stays.

    Raises:
        DatasetError: somebody else, in this process or another, holds it.
        StorageError: the lock file cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK_NAME
        with storage_errors(path):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._handle)
                raise DatasetError(
                    f"{folder} is being written by another run; wait for it, or choose another folder"
                ) from None
            except OSError:
                os.close(self._handle)
                raise

    @classmethod
    def within(cls, folder: Path, wait_s: float) -> Self:
        """Return the right to write, waiting for another writer for some time; raises as the constructor."""
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
            fcntl.flock(self._handle, fcntl.LOCK_UN)  # frees it even while a forked child has the handle
            os.close(self._handle)
            self._handle = -1
