"""Contents on their way to a client, whole or in part, so that a download that was cut goes on where it ended."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from edge_autotuner.server.blobs import Blobs
from edge_autotuner.server.problems import Problem

_BLOCK_BYTES = 1 << 18
_ONE_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")


@dataclass(frozen=True)
class Download:
    """An answer with a content: its status, its headers, its bytes."""

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
    """Open a content for a request.

    A header that asks for several parts, or in another unit, is ignored, as RFC 9110 allows.

    Raises:
        Problem: 404 there is no such content, 416 it has no such part.
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
        raise Problem(
            416, "no-such-part", f"the content has {total} bytes", headers={"Content-Range": f"bytes */{total}"}
        )
    file.seek(start)
    headers |= {"Content-Range": f"bytes {start}-{stop - 1}/{total}", "Content-Length": str(stop - start)}
    return Download(206, headers, file, stop - start)


def _part(match: re.Match[str], total: int) -> tuple[int, int]:
    """Return first byte and the one after the last; none are left where the two meet."""
    first, last, n_last = match.groups()
    if first is None:
        return max(0, total - int(n_last)), total
    return int(first), min(total, int(last) + 1) if last else total
