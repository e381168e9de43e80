"""Uploads and downloads contents by their hash.

Only contents that the service lacks are uploaded, so that an interrupted upload can be repeated. A download resumes
after a break, and appears only when size and hash are right.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

import httpx2

from edge_autotuner.client.connection import ApiRequest, Connection, path_of
from edge_autotuner.client.replies import check_plain
from edge_autotuner.core.clock import Deadline
from edge_autotuner.core.progress import NoProgress, Progress
from edge_autotuner.errors import ServiceBadReply, StorageError
from edge_autotuner.storage import file_sha256
from edge_autotuner.storage.atomic import TEMPORARY_SUFFIX, storage_errors, sync_folder
from edge_autotuner.wire.registry_messages import BlobQuestion, MissingBlobs, StoredBlob

_BLOCK_BYTES = 1 << 18
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")


def fetch_file(
    connection: Connection, path: str, target: Path, *, sha256: str, n_bytes: int, deadline: Deadline | None = None
) -> None:
    """Download a file; an existing one stays until the new one is complete and verified.

    A partial download is kept beside the target, also when this process ends, and resumed. Two processes must not fetch
    the same target at once.

    `path` is from `path_of`, `target` is in an existing folder, and `n_bytes` is at least 1. No attempt begins after
    the deadline.

    Raises:
        ServiceUnreachable: it did not arrive within the attempts or before the deadline; the part is kept.
        ServiceRefused: there is no such content for this client.
        ServiceBadReply: it has another size or hash.
        StorageError: the disk is full or refuses; the part is kept.
    """
    if n_bytes < 1:
        raise ValueError(f"a file has at least one byte, got {n_bytes}")
    part = target.with_name(f".{target.name}.{sha256[:16]}{TEMPORARY_SUFFIX}")
    if _size_of(part) < n_bytes:
        connection.call(_request_for_rest(path, part), _appender(part, n_bytes), deadline)
    _take_name(part, target, sha256, path)


def _request_for_rest(path: str, part: Path) -> ApiRequest:
    """Return a request for the part that is missing at the time of each attempt."""

    def arguments() -> Mapping[str, Any]:
        n_there = _size_of(part)
        return {"headers": {"Range": f"bytes={n_there}-"}} if n_there else {}

    return ApiRequest("GET", path, arguments=arguments)


def _appender(part: Path, n_bytes: int) -> Callable[[httpx2.Response], None]:
    def read(reply: httpx2.Response) -> None:
        check_plain(reply)
        start = _start_of(reply, _size_of(part))
        with storage_errors(part), part.open("r+b" if start else "wb") as file:
            file.seek(start)
            _copy(reply, file, n_bytes - start)
            file.flush()
            os.fsync(file.fileno())
        if _size_of(part) < n_bytes:
            part.unlink()
            raise ServiceBadReply(f"{reply.request.url} has fewer than the announced {n_bytes} bytes")

    return read


def _start_of(reply: httpx2.Response, n_there: int) -> int:
    """Return the offset of the body in the file: a service may ignore the range and send all of it."""
    if reply.status_code == 200:
        return 0
    found = _RANGE.fullmatch(reply.headers.get("content-range", "").strip())
    if reply.status_code != 206 or found is None or int(found[1]) != n_there:
        raise ServiceBadReply(f"{reply.request.url} did not return the rest from byte {n_there} on")
    return n_there


def _copy(reply: httpx2.Response, file: IO[bytes], n_left: int) -> None:
    for block in reply.iter_raw():  # as it arrives: blocks of one size would lose the last one at a break
        n_left -= len(block)
        if n_left < 0:
            raise ServiceBadReply(f"{reply.request.url} has more than the announced bytes")
        file.write(block)


def _size_of(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _take_name(part: Path, target: Path, sha256: str, what: str) -> None:
    with storage_errors(part):
        got = file_sha256(part)
    if got != sha256:
        part.unlink()
        raise ServiceBadReply(f"{what} is not the expected file: sha256 {got} instead of {sha256}")
    with storage_errors(target):
        os.replace(part, target)
        sync_folder(target.parent)


Content = Path | bytes
"""A file, or what is in memory."""

_MAX_QUESTION = 5_000  # hashes in one question; the service takes twice as many


def upload_missing(
    connection: Connection,
    contents: Mapping[str, Content],
    *,
    progress: Progress | None = None,
    deadline: Deadline | None = None,
) -> None:
    """Upload the contents that the service does not have.

    Raises:
        StorageError: a file cannot be read.
        ServiceError: as `Connection.get_json`; uploaded contents stay there.
    """
    progress = progress or NoProgress()
    missing = list(_missing(connection, contents, deadline))
    if not missing:
        return
    progress.start("upload", len(missing))
    for sha256 in missing:
        content = contents[sha256]
        blob = path_of("blobs", sha256)
        connection.put_stream(blob, _opener(content), _length_of(content), StoredBlob, deadline=deadline)
        progress.advance()
    progress.finish()


def _missing(connection: Connection, asked: Iterable[str], deadline: Deadline | None) -> Iterator[str]:
    """Yield the hashes that the service lacks."""
    path = path_of("blobs", "missing")
    waiting = iter(asked)
    while hashes := tuple(islice(waiting, _MAX_QUESTION)):
        reply = connection.post_json(path, BlobQuestion(sha256=hashes), MissingBlobs, deadline=deadline)
        for sha256 in reply.missing:
            if sha256 not in hashes:
                raise ServiceBadReply(f"the service reports an unknown blob as missing: {sha256}")
            yield sha256


def _length_of(content: Content) -> int:
    if isinstance(content, bytes):
        return len(content)
    try:
        return content.stat().st_size
    except OSError as exc:
        raise StorageError(f"cannot read {content}: {exc.strerror}") from exc


def _opener(content: Content) -> Callable[[], Iterable[bytes]]:
    if isinstance(content, bytes):
        return lambda: (content[start : start + _BLOCK_BYTES] for start in range(0, len(content), _BLOCK_BYTES))
    return lambda: _blocks_of(content)


def _blocks_of(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
    except OSError as exc:
        raise StorageError(f"cannot read {path}: {exc.strerror}") from exc
