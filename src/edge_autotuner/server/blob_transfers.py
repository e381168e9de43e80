"""Contents on their way: uploads to the disk, and downloads, whole or in part, so that a cut one can be resumed."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from edge_autotuner.server.problems import Problem
from edge_autotuner.storage.atomic import storage_errors, sync_folder, write_all
from edge_autotuner.storage.lock import lock_file

if TYPE_CHECKING:
    from edge_autotuner.server.blobs import Blobs

_FULL = {errno.ENOSPC, errno.EDQUOT}
_BLOCK_BYTES = 1 << 18
_ONE_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")


class Upload:
    """A content that is written to the disk: `write` its pieces, then `finish`; `abort` in any case.

    A request may be cancelled while a thread still writes for it: `abort` waits for that thread, so that no file handle
    is closed while it is in use.
    """

    _handle = -1

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._lock = threading.Lock()
        self._digest = hashlib.sha256()
        self._n_bytes = 0
        self._path, self._handle = _locked_file(blobs._incoming)

    def __del__(self) -> None:
        if self._handle >= 0:  # its request was cancelled before anybody held it
            self.abort()

    def write(self, block: bytes) -> None:
        """Add a piece.

        Raises:
            Problem: 413 it is too large, 507 the disk has no room.
            StorageError: the disk refuses.
            ValueError: the upload has ended.
        """
        with self._lock:
            self._check_open()
            self._n_bytes += len(block)
            self._blobs.check_size(self._n_bytes)
            self._blobs.check_room(len(block))
            self._digest.update(block)
            with _disk_full_is_a_problem(self._path):
                write_all(self._handle, block)

    def finish(self, sha256: str) -> int:
        """Give the content its name, safely on the disk, and return its size.

        Raises:
            Problem: 422 it has another hash, 507 the disk has no room.
            StorageError: the disk refuses.
            ValueError: the upload has ended.
        """
        with self._lock:
            self._check_open()
            if self._digest.hexdigest() != sha256:
                detail = f"the {self._n_bytes} received bytes do not match the hash {sha256}; send them again"
                raise Problem(422, "hash-differs", detail)
            path = self._blobs.path(sha256)
            with _disk_full_is_a_problem(path):
                self._take_name(path)
        return self._n_bytes

    def abort(self) -> None:
        """Delete an unfinished upload; a finished content stays."""
        with self._lock:
            if self._handle >= 0:
                with suppress(OSError):
                    self._path.unlink(missing_ok=True)
                os.close(self._handle)
                self._handle = -1

    def _check_open(self) -> None:
        if self._handle < 0:
            raise ValueError("the upload has ended")

    def _take_name(self, path: Path) -> None:
        os.fsync(self._handle)
        if not path.parent.is_dir():
            path.parent.mkdir(exist_ok=True)
            sync_folder(path.parent.parent)
        now = self._blobs._clock.now().timestamp()
        os.utime(self._handle, (now, now))
        with self._blobs._lock(fcntl.LOCK_SH):
            os.replace(self._path, path)
        sync_folder(path.parent)


@dataclass(frozen=True)
class Download:
    """The answer to a request for a content."""

    status: int
    headers: Mapping[str, str]
    file: BinaryIO
    n_bytes: int

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes, once, and close the file."""
        left = self.n_bytes
        with self.file:
            while left and (block := self.file.read(min(left, _BLOCK_BYTES))):
                left -= len(block)
                yield block


def open_download(blobs: Blobs, sha256: str, range_header: str | None) -> Download:
    """Open a content for a request; a header with several ranges, or another unit, is ignored, as RFC 9110 allows.

    Raises:
        Problem: 404 there is no such content, 416 it has no such range.
    """
    file = blobs.open(sha256)
    total = os.fstat(file.fileno()).st_size
    headers = {"Accept-Ranges": "bytes", "ETag": f'"{sha256}"', "Cache-Control": "private, immutable"}
    match = _ONE_RANGE.fullmatch(range_header.strip()) if range_header else None
    if match is None:
        return Download(200, {**headers, "Content-Length": str(total)}, file, total)
    start, stop = _part(match, total)
    if start >= stop:
        file.close()
        raise Problem(416, "no-such-part", f"the blob has {total} bytes", headers={"Content-Range": f"bytes */{total}"})
    file.seek(start)
    headers |= {"Content-Range": f"bytes {start}-{stop - 1}/{total}", "Content-Length": str(stop - start)}
    return Download(206, headers, file, stop - start)


def _part(match: re.Match[str], total: int) -> tuple[int, int]:
    """Return the first byte of a range and the one after its last."""
    first, last, n_last = match.groups()
    if first is None:
        return max(0, total - int(n_last)), total
    return int(first), min(total, int(last) + 1) if last else total


@contextmanager
def _disk_full_is_a_problem(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise no_room() from exc
        with storage_errors(path):
            raise


def no_room() -> Problem:
    """Return the refusal of a full disk."""
    return Problem(507, "disk-full", "the service's disk is full; try again later, or free some space")


def _locked_file(folder: Path) -> tuple[Path, int]:
    """Create a file that another process does not mistake for a leftover of a killed one when it starts."""
    while True:
        path = folder / secrets.token_hex(16)
        with _disk_full_is_a_problem(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            lock_file(handle, fcntl.LOCK_EX, path)
        if path.exists():  # nobody removed it between the two calls
            return path, handle
        os.close(handle)
