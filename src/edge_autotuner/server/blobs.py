"""Contents on the service's disk, named by their SHA-256: the files of bundles, and the pictures of trainings.

    blobs/ab/abcdef...        a content; its name is its hash, so no name from outside ever reaches the disk
    blobs/incoming/RANDOM     an upload in progress, locked by the process that writes it
    blobs/.lock               shared by those who claim contents, exclusive for those who delete them

A content appears completely or not at all. It is kept while something refers to it, and for a grace period after the
last upload or `claim`, so that a client has time to refer to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from starlette.concurrency import run_in_threadpool

from edge_autotuner.config.server import BlobsConfig
from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.errors import StorageError
from edge_autotuner.server.blob_transfers import Upload, no_room
from edge_autotuner.server.problems import Problem
from edge_autotuner.storage import DiskReserve, child_path
from edge_autotuner.storage.atomic import make_folder, storage_errors
from edge_autotuner.storage.lock import lock_file

logger = logging.getLogger(__name__)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BLOCK_BYTES = 1 << 20
_CLOCK_SLACK_S = 60.0  # by which the clocks of two machines with one disk may differ


@dataclass(frozen=True)
class Blob:
    """A content on the disk.

    Attributes:
        age_s: since it was last uploaded or claimed; below 0 where the clock was set back.
    """

    sha256: str
    n_bytes: int
    age_s: float


class Blobs:
    """The contents of one folder; several processes may share it.

    Args:
        reserve_bytes: kept free on the disk; uploads that need it are refused.

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
        """Open a folder with the limits of the settings; raises as the constructor."""
        max_bytes = int(config.max_content_mb * 1e6)
        return cls(folder, max_bytes=max_bytes, reserve_bytes=config.reserve_bytes, clock=clock)

    @property
    def folder(self) -> Path:
        """The folder of all contents."""
        return self._folder

    def path(self, sha256: str) -> Path:
        """Return the path of a content; raises `ValueError` unless it is a SHA-256 in hexadecimal digits."""
        _checked(sha256)
        return child_path(self._folder, sha256[:2], sha256)

    def claim(self, hashes: Iterable[str]) -> dict[str, int]:
        """Return the sizes of existing contents, and renew their grace period."""
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
        """Store a content that arrives in pieces, and return its size; nothing is left of an incomplete one.

        Raises:
            Problem: 413 it is too large, 422 it has another hash, 507 the disk has no room.
            StorageError: the disk refuses.
        """
        self.check_size(declared_bytes or 0)
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
        """Store a content in memory, and return its hash; raises as `receive`."""
        sha256 = hashlib.sha256(content).hexdigest()
        upload = self.begin(len(content))
        try:
            upload.write(content)
            upload.finish(sha256)
        finally:
            upload.abort()
        return sha256

    def begin(self, n_bytes: int = 0) -> Upload:
        """Begin an upload of this many bytes, 0 if unknown; end it with `finish` or `abort`.

        Raises:
            Problem: 507 the disk has no room.
            StorageError: the disk refuses.
        """
        self.check_room(n_bytes)
        return Upload(self)

    def open(self, sha256: str) -> BinaryIO:
        """Open a content, which can be read to its end even if it is deleted meanwhile; raises `Problem` 404."""
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError:
            raise Problem(404, "unknown-blob", f"no blob with the hash {sha256}; upload it") from None

    def all(self) -> Iterator[Blob]:
        """Yield all contents, in any order."""
        now = self._clock.now().timestamp()
        for path in self._folder.glob("??/*"):
            with suppress(FileNotFoundError):
                status = path.stat()
                yield Blob(path.name, status.st_size, now - status.st_mtime)

    def removable(self, hashes: Collection[str], *, min_age_s: float) -> dict[str, int]:
        """Return hash and size of what `remove` would delete now."""
        return {path.name: n_bytes for path, n_bytes in self._older(hashes, min_age_s)}

    def remove(self, hashes: Collection[str], *, min_age_s: float) -> dict[str, int]:
        """Delete contents of some age since their upload or claim; return hash and size of the deleted ones."""
        removed = {}
        with self._lock(fcntl.LOCK_EX):
            for path, n_bytes in self._older(hashes, min_age_s):
                with suppress(FileNotFoundError), _storage_errors_but_missing(path):
                    path.unlink()
                    removed[path.name] = n_bytes
        return removed

    def remove_leftovers(self) -> None:
        """Delete uploads whose process was killed, which left their lock free."""
        for path in self._incoming.iterdir():
            with suppress(OSError, StorageError):
                handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    lock_file(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, path)
                    path.unlink()
                finally:
                    os.close(handle)

    def renew_future_times(self) -> None:
        """Let contents that were stored while the clock was ahead age from now on."""
        early = [blob.sha256 for blob in self.all() if blob.age_s < -_CLOCK_SLACK_S]
        if early:
            logger.warning(
                "%d blobs are dated in the future, the clock was set back; counting their age from now", len(early)
            )
            self.claim(early)

    def check_room(self, n_bytes: int = 0) -> None:
        """Raise `Problem` 507 if these bytes, or rows of the database, would need the disk's reserve."""
        if not self._reserve.has_room(n_bytes):
            raise no_room()

    def check_size(self, n_bytes: int) -> None:
        """Raise `Problem` 413 for a content that is too large."""
        if n_bytes > self._max_bytes:
            raise Problem(413, "blob-too-large", f"a blob may have at most {self._max_bytes} bytes")

    def _older(self, hashes: Iterable[str], min_age_s: float) -> Iterator[tuple[Path, int]]:
        """Yield path and size of contents of at least this age."""
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


def _checked(sha256: str) -> str:
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"a blob's name has 64 hexadecimal digits, got {sha256!r:.80}")
    return sha256


def _claim_inside(folder: Path, hashes: Iterable[str], now: float) -> dict[str, int]:
    """Claim contents of one folder by its handle: fast for the thousands that a client may ask about."""
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
