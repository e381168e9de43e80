"""Small videos that state things of themselves: rotation, pixel shape, stamps, several streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from edge_autotuner.core.types import ImageArray, SizeWH

MILLISECOND = Fraction(1, 1000)


def _as_it_is(stream: VideoStream) -> None:
    """State nothing."""


def write_stated(
    path: Path,
    images: Sequence[ImageArray],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: Fraction | int = 10,
    stamps_ms: Sequence[int] | None = None,
    state: Callable[[VideoStream], None] = _as_it_is,
    options: dict[str, str] | None = None,
    n_streams: int = 1,
    container: dict[str, str] | None = None,
) -> None:
    """Encode (H, W) grey or uint16, or (H, W, 3) BGR pictures into every stream of a file.

    Args:
        path: its suffix chooses the container.
        images: of one size.
        codec: of FFmpeg.
        pix_fmt: of FFmpeg.
        rate: as stated.
        stamps_ms: time of each picture, milliseconds; None: by the rate.
        state: told of each stream before it begins, to state things.
        options: of the codec.
        n_streams: video streams.
        container: options of the container.
    """
    with av.open(str(path), "w", options=container or {}) as file:
        streams = []
        for _ in range(n_streams):
            stream = file.add_stream(codec, rate=Fraction(rate), options=dict(options or {}))
            assert isinstance(stream, VideoStream)
            stream.width, stream.height = images[0].shape[1], images[0].shape[0]
            stream.pix_fmt = pix_fmt
            if stamps_ms is not None:
                stream.codec_context.time_base = MILLISECOND
            state(stream)
            streams.append(stream)
        for stream in streams:
            for number, image in enumerate(images):
                frame = av.VideoFrame.from_ndarray(image, format=_format_of(image))
                if stamps_ms is not None:
                    frame.pts, frame.time_base = stamps_ms[number], MILLISECOND
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))


def moving_square(n: int, size_wh: SizeWH = (64, 48)) -> list[ImageArray]:
    """Return n (H, W) pictures of a dark plane with a bright square that moves; each corner has a grey of its own."""
    width, height = size_wh
    pictures = []
    for number in range(n):
        picture = np.full((height, width), 60, np.uint8)
        picture[: height // 4, : width // 4] = 120
        left = number * 3 % (width - 12)
        picture[height // 2 : height // 2 + 12, left : left + 12] = 220
        pictures.append(picture)
    return pictures


def _format_of(image: ImageArray) -> str:
    if image.dtype == np.uint16:
        return "gray16le"
    return "gray" if image.ndim == 2 else "bgr24"
