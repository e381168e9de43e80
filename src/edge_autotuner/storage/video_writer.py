"""Encodes pictures into a video file that appears under its name only when it is complete."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError
from av.video.stream import VideoStream

from edge_autotuner.core.file_names import shortened
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.errors import StorageError
from edge_autotuner.storage.atomic import is_alive

_ENCODERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("libx264", {"crf": "20", "preset": "veryfast"}),
    ("mpeg4", {"qscale": "3"}),
)
"""Best first; the second one is part of every FFmpeg."""

_MILLISECOND = Fraction(1, 1000)


class VideoWriter:
    """Encodes pictures one after the other; a context manager that leaves no file behind unless `finish` was called.

    Args:
        path: the file; its suffix chooses the container.
        size_wh: of all pictures, even numbers of pixels.
        rate_hz: pictures per second.
        is_timed: every picture comes with its own time, to the millisecond, instead of the next one of the rate;
            for .mp4 and .mkv.

    Raises:
        ValueError: no container has this suffix.
        StorageError: the file cannot be written.
    """

    def __init__(self, path: Path, size_wh: SizeWH, *, rate_hz: float, is_timed: bool = False) -> None:
        if path.exists() and not path.is_file():
            raise StorageError(f"cannot write {path}: it is a folder, pipe or device; give the name of a file")
        self._path = path
        self._target = path.resolve()  # what a link leads to is written, not the link
        self._unfinished = _unfinished_name(self._target, os.getpid())
        _remove_leftovers(self._target)
        self._is_timed = is_timed
        self._last_ms = -1
        codec, options = next((name, opts) for name, opts in _ENCODERS if name in av.codecs_available)
        with _storage_errors(path):
            self._container = av.open(f"file:{self._unfinished}", mode="w")  # a name may hold a colon
        stream = self._container.add_stream(codec, rate=Fraction(rate_hz).limit_denominator(1000), options=options)
        assert isinstance(stream, VideoStream), "video codecs make video streams"
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        if is_timed:
            stream.codec_context.time_base = _MILLISECOND
        self._stream = stream
        with contextlib.ExitStack() as on_error:
            on_error.callback(self._discard)
            with _storage_errors(path):
                self._container.start_encoding()  # opens the file, which waits for the first packet otherwise
            on_error.pop_all()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_error: object) -> None:
        self._discard()

    def add(self, image_bgr: ImageArray, time_s: float = 0.0) -> None:
        """Encode a (H, W, 3) picture, shown at `time_s`, seconds, if the video is a timed one.

        Raises:
            StorageError: the disk is full or refuses the write.
        """
        frame = av.VideoFrame.from_ndarray(image_bgr, format="bgr24")
        if self._is_timed:
            self._last_ms = max(self._last_ms + 1, round(time_s * 1000))  # a player needs rising times
            frame.pts, frame.time_base = self._last_ms, _MILLISECOND
        with _storage_errors(self._path):
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what is left, and let the file take its name.

        Raises:
            StorageError: the disk is full or refuses the write.
        """
        with _storage_errors(self._path):
            self._container.mux(self._stream.encode(None))
            self._container.close()
            _take_the_name(self._unfinished, self._target)

    def _discard(self) -> None:
        """Close the file, and remove it unless it was completed."""
        with contextlib.suppress(FFmpegError):  # what has failed to be written fails again here
            self._container.close()
        self._unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, FFmpegError) as exc:
        raise StorageError(f"cannot write {path}: {exc}; check the folder's permissions and the free space") from exc


def _unfinished_name(path: Path, process: int) -> Path:
    return path.with_name(f".unfinished-{process}-{shortened(path.stem)}{path.suffix}")


def _remove_leftovers(path: Path) -> None:
    """Delete what killed processes of this machine have left of the same file."""
    for leftover in path.parent.glob(".unfinished-*"):
        process = leftover.name.split("-")[1]
        is_number = process.isascii() and process.isdecimal() and len(process) < 8
        if is_number and leftover == _unfinished_name(path, int(process)) and not is_alive(int(process), 0):
            leftover.unlink(missing_ok=True)


def _take_the_name(unfinished: Path, path: Path) -> None:
    with unfinished.open("rb+") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)
