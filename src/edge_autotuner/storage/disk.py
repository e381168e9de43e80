"""Disk space, its reserve for what must not fail, and hashes of files.

The reserve is for the database, the audit log, finishing what has begun, and deleting what is old.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from edge_autotuner.errors import StorageError

_MIN_FREE_INODES = 1000  # a disk may have room and no inode left, from many tiny files


@dataclass(frozen=True)
class DiskReserve:
    """The reserve on a disk.

    Attributes:
        folder: on that disk; must exist.
        n_bytes: kept free of everything that can be refused or stopped.
    """

    folder: Path
    n_bytes: int

    def has_room(self, n_bytes: int = 0) -> bool:
        """Whether this many more bytes leave the reserve intact; raises `StorageError` if that cannot be read."""
        return free_bytes(self.folder) - n_bytes >= self.n_bytes and _has_free_inodes(self.folder)

    def require(self, n_bytes: int = 0) -> None:
        """Raise `StorageError` if this many bytes would need the reserve, or that cannot be read."""
        if not self.has_room(n_bytes):
            raise StorageError(
                f"the disk of {self.folder} has no room for {n_bytes} bytes besides its reserve of {self.n_bytes}; "
                "free some space"
            )


def free_bytes(folder: Path) -> int:
    """Return the free space on the disk of a folder; raises `StorageError` if that cannot be read."""
    try:
        return shutil.disk_usage(folder).free
    except OSError as exc:
        raise StorageError(f"cannot read the free space of {folder}: {exc.strerror}") from exc


def _has_free_inodes(folder: Path) -> bool:
    try:
        counts = os.statvfs(folder)
    except OSError as exc:
        raise StorageError(f"cannot read the free space of {folder}: {exc.strerror}") from exc
    return counts.f_files == 0 or counts.f_favail >= _MIN_FREE_INODES  # 0: this file system does not count them


def file_sha256(path: Path) -> str:
    """Return the hash of a file of any size; raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def written_bytes(folder: Path) -> int:
    """Return the disk space of a folder, without files that have another hard link."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                status = os.lstat(os.path.join(parent, name))
            except FileNotFoundError:
                continue  # gone meanwhile
            total += status.st_blocks * 512 if status.st_nlink == 1 else 0
    return total
