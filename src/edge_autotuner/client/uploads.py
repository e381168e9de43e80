"""Uploads contents by their hash: only what the service lacks, so that an interrupted upload can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from edge_autotuner.client.connection import Connection, path_of
from edge_autotuner.core.clock import Deadline
from edge_autotuner.core.progress import NoProgress, Progress
from edge_autotuner.errors import ServiceBadReply, StorageError
from edge_autotuner.wire.registry_messages import BlobQuestion, MissingBlobs, StoredBlob

Content = Path | bytes
"""A file, or what is in memory."""

_MAX_QUESTION = 5_000  # hashes in one question; the service takes twice as many
_BLOCK_BYTES = 1 << 18


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
        connection.put_stream(blob, _opener(content), _size_of(content), StoredBlob, deadline=deadline)
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
                raise ServiceBadReply(f"the service misses a content that nobody asked about: {sha256}")
            yield sha256


def _size_of(content: Content) -> int:
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
