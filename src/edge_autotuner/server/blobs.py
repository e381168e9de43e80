"""Contents on the service's disk, named by their SHA-256: the files of bundles, and the pictures of trainings.

    blobs/ab/abcdef...        a content; its name is its hash, so no name from outside ever reaches the disk
    blobs/incoming/RANDOM     an upload in progress, locked by the process that writes it
    blobs/.lock               held together by those who claim contents, alone by who removes them

A content appears whole or not at all. It stays as long as something refers to it, and for a while after the last upload
or question about it (`claim`), so that a client has time to say what it is for.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import re
import secrets
import threading
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from starlette.concurrency import run_in_threadpool

from edge_autotuner.config.server import BlobsConfig
from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.errors import StorageError
from edge_autotuner.server.problems import Problem
from edge_autotuner.storage import DiskReserve, child_path
from edge_autotuner.storage.atomic import make_folder, storage_errors, sync_folder, write_all
from edge_autotuner.storage.lock import lock_file

logger = logging.getLogger(__name__)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BLOCK_BYTES = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT}
_CLOCK_SLACK_S = 60.0  # by which the clocks of two machines with one disk may differ


@dataclass(frozen=True)
class Blob:
    """A content on the disk.

    Attributes:
        sha256: its hash.
        n_bytes: its size.
        age_s: since it was last uploaded or claimed; below 0 where the clock was set back.
    """

    sha256: str
    n_bytes: int
    age_s: float


class Blobs:
    """The contents of one folder; several processes may share it.

    Args:
        folder: where they lie.
        max_bytes: of one content.
        reserve_bytes: what stays free on the disk; an upload that would take it is refused.
        clock: says what is old.

    Raises:
        StorageError: the folder cannot be used.
    """

    def __init__(
        self, folder: Path, *, max_bytes: int = 1 << 30, reserve_bytes: int = 1 << 30, clock: Clock | None = None
    ) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._max_bytes = max_bytes
        self._reserve = DiskReserve(folder, reserve_bytes)
        self._clock = clock or SystemClock()
        make_folder(self._incoming)
        self.remove_leftovers()

    @classmethod
    def from_config(cls, folder: Path, config: BlobsConfig, *, clock: Clock | None = None) -> Self:
        """Open a folder with its settings; raises as the constructor."""
        max_bytes, reserve_bytes = int(config.max_content_mb * 1e6), int(config.reserve_mb * 1e6)
        return cls(folder, max_bytes=max_bytes, reserve_bytes=reserve_bytes, clock=clock)

    def path(self, sha256: str) -> Path:
        """Return where a content lies, or would.

        Raises:
            ValueError: it is no SHA-256 in hexadecimal digits.
        """
        _checked(sha256)
        return child_path(self._folder, sha256[:2], sha256)

    def claim(self, hashes: Iterable[str]) -> dict[str, int]:
        """Return the sizes of those contents that are here, and keep these for another while."""
        by_folder: dict[str, list[str]] = {}
        for sha256 in hashes:
            by_folder.setdefault(_checked(sha256)[:2], []).append(sha256)
        sizes: dict[str, int] = {}
        now = self._clock.now().timestamp()
        with self._lock(fcntl.LOCK_SH):
            for name, inside in by_folder.items():
                folder = child_path(self._folder, name)
                with suppress(FileNotFoundError), _storage_errors_but_missing(folder):
                    sizes |= _claim_inside(folder, inside, now)
        return sizes

    async def receive(self, sha256: str, chunks: AsyncIterator[bytes], *, declared_bytes: int | None) -> int:
        """Store a content that arrives in pieces, and return its size.

        Nothing of it is left when it is not complete: the client goes away, the hash differs, the disk is full.

        Args:
            sha256: what it must be.
            chunks: the content.
            declared_bytes: what the client says that it will be; checked before anything is read.

        Raises:
            Problem: 413 it is too large, 422 it has another hash, 507 the disk has no room for it.
            StorageError: the disk refuses.
        """
        self._check_size(declared_bytes or 0)
        upload = await run_in_threadpool(self.begin, declared_bytes or 0)
        try:
            block = bytearray()
            async for chunk in chunks:
                block += chunk
                if len(block) >= _BLOCK_BYTES:
                    await run_in_threadpool(upload.write, bytes(block))
                    block.clear()
            await run_in_threadpool(upload.write, bytes(block))
            return await run_in_threadpool(upload.finish, sha256)
        finally:
            upload.abort()

    def store(self, content: bytes) -> str:
        """Store a content that is in memory, and return its hash.

        Raises:
            Problem: 413 it is too large, 507 the disk has no room for it.
            StorageError: the disk refuses.
        """
        sha256 = hashlib.sha256(content).hexdigest()
        upload = self.begin(len(content))
        try:
            upload.write(content)
            upload.finish(sha256)
        finally:
            upload.abort()
        return sha256

    def begin(self, n_bytes: int = 0) -> Upload:
        """Begin an upload of so many bytes, as far as that is known; end it with `finish` and `abort`.

        Raises:
            Problem: 507 the disk has no room for it.
            StorageError: the disk refuses.
        """
        self.check_room(n_bytes)
        return Upload(self)

    def open(self, sha256: str) -> BinaryIO:
        """Open a content for reading; it can be read to its end even if it is removed meanwhile.

        Raises:
            Problem: 404 it is not here.
        """
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError:
            raise Problem(404, "unknown-blob", f"there is no content with the hash {sha256}; upload it") from None

    def all(self) -> Iterator[Blob]:
        """Yield all contents, in no order."""
        now = self._clock.now().timestamp()
        for path in self._folder.glob("??/*"):
            with suppress(FileNotFoundError):
                status = path.stat()
                yield Blob(path.name, status.st_size, now - status.st_mtime)

    def removable(self, hashes: Collection[str], *, min_age_s: float) -> dict[str, int]:
        """Return hash and size of what `remove` would remove now."""
        return {path.name: n_bytes for path, n_bytes in self._older(hashes, min_age_s)}

    def remove(self, hashes: Collection[str], *, min_age_s: float) -> dict[str, int]:
        """Remove contents, except those that were uploaded or claimed lately; return hash and size of what is gone."""
        removed = {}
        with self._lock(fcntl.LOCK_EX):
            for path, n_bytes in self._older(hashes, min_age_s):
                with suppress(FileNotFoundError), _storage_errors_but_missing(path):
                    path.unlink()
                    removed[path.name] = n_bytes
        return removed

    def remove_leftovers(self) -> None:
        """Delete uploads whose process was killed: nobody holds their lock any more."""
        for path in self._incoming.iterdir():
            with suppress(OSError, StorageError):
                handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    lock_file(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, path)
                    path.unlink()
                finally:
                    os.close(handle)

    def renew_future_times(self) -> None:
        """Let contents that came while the clock was ahead age from now on; else they would stay for too long."""
        early = [blob.sha256 for blob in self.all() if blob.age_s < -_CLOCK_SLACK_S]
        if early:
            logger.warning("%d contents are from the future: the clock was set back; they age from now on", len(early))
            self.claim(early)

    def check_room(self, n_bytes: int = 0) -> None:
        """Refuse what would take the disk's reserve; also for rows that a client adds to the database.

        Raises:
            Problem: 507.
        """
        if not self._reserve.has_room(n_bytes):
            raise _no_room()

    def _check_size(self, n_bytes: int) -> None:
        if n_bytes > self._max_bytes:
            raise Problem(413, "blob-too-large", f"a content may have {self._max_bytes} bytes at most")

    def _older(self, hashes: Iterable[str], min_age_s: float) -> Iterator[tuple[Path, int]]:
        """Yield where contents lie that are so old, and their sizes."""
        now = self._clock.now().timestamp()
        for sha256 in hashes:
            path = self.path(sha256)
            with suppress(FileNotFoundError), _storage_errors_but_missing(path):
                status = path.stat()
                if now - status.st_mtime >= min_age_s:
                    yield path, status.st_size

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        path = self._folder / ".lock"
        with storage_errors(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            lock_file(handle, kind, path)
            yield
        finally:
            os.close(handle)


class Upload:
    """A content on its way to the disk: `write` its pieces, then `finish`; `abort` in any case.

    A request may be cancelled while a thread still writes for it: `abort` waits for that thread, so that no file handle
    is closed that is in use.
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
            Problem: 413 it is too large, 507 the disk has no room for it.
            StorageError: the disk refuses.
            ValueError: the upload has ended.
        """
        with self._lock:
            self._check_open()
            self._n_bytes += len(block)
            self._blobs._check_size(self._n_bytes)
            self._blobs.check_room(len(block))
            self._digest.update(block)
            with _disk_full_is_a_problem(self._path):
                write_all(self._handle, block)

    def finish(self, sha256: str) -> int:
        """Give the content its name, safely on the disk, and return its size.

        Raises:
            Problem: 422 it has another hash, 507 the disk has no room for it.
            StorageError: the disk refuses.
            ValueError: the upload has ended.
        """
        with self._lock:
            self._check_open()
            if self._digest.hexdigest() != sha256:
                detail = f"the {self._n_bytes} bytes that arrived do not have the hash {sha256}; send again"
                raise Problem(422, "hash-differs", detail)
            path = self._blobs.path(sha256)
            with _disk_full_is_a_problem(path):
                self._take_name(path)
        return self._n_bytes

    def abort(self) -> None:
        """Remove what is not finished; a finished content stays."""
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


def _checked(sha256: str) -> str:
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"a blob's name has 64 hexadecimal digits, got {sha256!r:.80}")
    return sha256


def _claim_inside(folder: Path, hashes: Iterable[str], now: float) -> dict[str, int]:
    """Claim contents of one folder, whose handle keeps every look inside it; a client may ask about thousands."""
    sizes = {}
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for sha256 in hashes:
            with suppress(FileNotFoundError):
                os.utime(sha256, (now, now), dir_fd=handle, follow_symlinks=False)
                sizes[sha256] = os.stat(sha256, dir_fd=handle, follow_symlinks=False).st_size
    finally:
        os.close(handle)
    return sizes


@contextmanager
def _storage_errors_but_missing(path: Path) -> Iterator[None]:
    """Turn an `OSError` into a `StorageError`, except for a file that is not there."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError:
        with storage_errors(path):
            raise


@contextmanager
def _disk_full_is_a_problem(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise _no_room() from exc
        with storage_errors(path):
            raise


def _no_room() -> Problem:
    return Problem(507, "disk-full", "the service has no room for this; try again later, or free space on its disk")


def _locked_file(folder: Path) -> tuple[Path, int]:
    """Create a file that another starting process does not take for the leftover of a killed one."""
    while True:
        path = folder / secrets.token_hex(16)
        with _disk_full_is_a_problem(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            lock_file(handle, fcntl.LOCK_EX, path)
        if path.exists():  # nobody removed it between the two calls
            return path, handle
        os.close(handle)
