"""Simulated cameras that post crops, each the next one when it has the answer to the last.

They speak plain HTTP/1.1 over one connection each, with as little work as possible: they share the machine with the
service that is measured.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

CROP_SIZE_WH = (192, 160)
_QUALITY = 85


@dataclass
class Measured:
    """What the cameras saw.

    Attributes:
        latencies_s: of each request.
        statuses: how often each status came.
        seconds: from the first request to the last answer.
    """

    latencies_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the latencies."""
        return float(np.percentile(self.latencies_s, percent) * 1000)


class Crops:
    """Pictures that no cache knows: one crop as JPEG, each time with another comment inside."""

    def __init__(self) -> None:
        width, height = CROP_SIZE_WH
        smooth = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8), (0, 0), 2)
        self._content = cv2.imencode(".jpg", smooth, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
        self._numbers = itertools.count()

    def next(self) -> bytes:
        """Return the next picture."""
        comment = b"%016d" % next(self._numbers)
        return self._content[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + self._content[2:]


async def post_crops(
    url: str,
    token: str,
    *,
    n_cameras: int,
    n_requests: int,
    crops: Crops,
    on_answer: Callable[[int], None] = lambda n: None,
) -> Measured:
    """Let some cameras post so many crops together.

    Args:
        url: of the service, http://HOST:PORT.
        token: of a client that may annotate.
        n_cameras: at the same time.
        n_requests: of all together.
        crops: what is posted.
        on_answer: told how many answers there are so far.
    """
    measured = Measured()
    numbers = iter(range(1, n_requests + 1))
    started_s = time.perf_counter()
    cameras = (_Camera(url, token, crops).post_all(numbers, measured, on_answer) for _ in range(n_cameras))
    await asyncio.gather(*cameras)
    measured.seconds = time.perf_counter() - started_s
    return measured


class _Camera:
    def __init__(self, url: str, token: str, crops: Crops) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self._host, self._port = host, int(port)
        self._crops = crops
        self._head = (
            f"POST /v1/models/stub/annotations HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: image/jpeg\r\nContent-Length: "
        ).encode()

    async def post_all(self, numbers: Iterator[int], measured: Measured, on_answer: Callable[[int], None]) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            for number in numbers:
                body = self._crops.next()
                request = self._head + b"%d\r\n\r\n" % len(body) + body
                started_s = time.perf_counter()
                writer.write(request)
                status = await _read_answer(reader)
                measured.latencies_s.append(time.perf_counter() - started_s)
                measured.statuses[status] = measured.statuses.get(status, 0) + 1
                on_answer(number)
        finally:
            writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return status
