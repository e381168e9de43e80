"""Frames of a video file, decoded with PyAV."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.error import EOFError as EndOfFile
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge_autotuner.capture.containers import one_file_options
from edge_autotuner.capture.planes import bgr_of, luma_of
from edge_autotuner.core import Frame, SourceInfo
from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import VideoError

logger = logging.getLogger(__name__)

_ASSUMED_RATE_HZ = 25.0  # for the rare file that does not tell its rate
_TEXT_FORMATS = {"tty", "subviewer", "srt", "webvtt"}  # FFmpeg "plays" text files


class VideoFile:
    """A recorded video as a `FrameSource`.

    Damaged packets are skipped and a broken tail ends the video; both are logged as one warning, as long as
    one frame could be decoded. Frame indices count the decoded frames.
    """

    def __init__(self, path: Path) -> None:
        """Read the file once, without decoding more than one frame.

        Raises:
            VideoError: the file is missing, unreadable, not a video, or has no frame that can be decoded.
        """
        self._path = path
        self._info = _inspect(path)

    @property
    def info(self) -> SourceInfo:
        """Facts about the video; `n_frames` is the number of intact packets."""
        return self._info

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in decode order; `time_s` starts at 0.

        Raises:
            VideoError: the size changes midway, or nothing could be decoded.
        """
        first_time_s = None
        for index, picture in enumerate(_decode(self._path)):
            _require_size(picture, self._info.size_wh, index, self._path)
            if first_time_s is None:
                first_time_s = picture.time or 0.0
            clock_s = index / self._info.rate_hz if picture.time is None else picture.time - first_time_s
            yield Frame(index, max(0.0, float(clock_s)), luma_of(picture), lambda picture=picture: bgr_of(picture))  # type: ignore[misc]


def _inspect(path: Path) -> SourceInfo:
    first = next(_decode(path))
    with _open(path) as container:
        stream = _video_stream(container, path)
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        n_frames = _count_frames(container, stream)
    return SourceInfo(
        kind="video",
        name=path.name,
        size_wh=(first.width, first.height),
        n_frames=max(1, n_frames),
        rate_hz=float(rate) if rate else _ASSUMED_RATE_HZ,
        sha256=_hash_file(path),
    )


def _open(path: Path) -> InputContainer:
    try:
        return av.open(str(path), mode="r", container_options=one_file_options())
    except FileNotFoundError as exc:
        raise VideoError(f"{path} does not exist; give a video file or a folder of pictures") from exc
    except PermissionError as exc:
        raise VideoError(f"{path} cannot be read: permission denied; check the file's rights") from exc
    except (FFmpegError, OSError, ValueError) as exc:
        hint = "the file is empty" if path.is_file() and path.stat().st_size == 0 else "not a video, or cut off"
        raise VideoError(f"{path} cannot be opened as a video ({hint}); check it with a player, copy it again") from exc


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    if not container.streams.video or container.format.name in _TEXT_FORMATS:
        raise VideoError(f"{path} contains no pictures; give a video file or a folder of pictures")
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    return stream


def _count_frames(container: InputContainer, stream: VideoStream) -> int:
    """Count the intact packets up to the end of the file or to the place where it is broken."""
    n_frames = 0
    with contextlib.suppress(FFmpegError, OSError):
        for packet in container.demux(stream):
            n_frames += _is_intact(packet)
    return n_frames


def _is_intact(packet: Packet[VideoStream]) -> bool:
    """Whether the packet holds a frame that will be shown; the last packet of a cut file is marked corrupt."""
    return packet.size > 0 and not packet.is_corrupt and not packet.is_discard


def _decode(path: Path) -> Iterator[VideoFrame]:
    """Yield every picture that can be decoded; warn once when some could not."""
    n_decoded, n_damaged = 0, 0
    with _open(path) as container:
        packets = container.demux(_video_stream(container, path))
        while (packet := _next_packet(packets)) is not None:
            pictures = _decode_packet(packet)
            n_damaged += pictures is None
            for picture in pictures or ():
                n_decoded += 1
                yield picture
    if n_decoded == 0:
        raise VideoError(f"{path} has no frame that can be decoded; check it with a player, copy it again")
    if n_damaged:
        logger.warning("%s: %d damaged parts left out, %d frames decoded", path, n_damaged, n_decoded)


def _next_packet(packets: Iterator[Packet[VideoStream]]) -> Packet[VideoStream] | None:
    """Return the next packet, or None at the end of the file or where it cannot be read any further."""
    try:
        return next(packets, None)
    except (FFmpegError, OSError) as exc:
        logger.warning("reading ended early: %s", exc)
        return None


def _decode_packet(packet: Packet[VideoStream]) -> list[VideoFrame] | None:
    """Return the pictures that a packet completes, or None when it is damaged."""
    if packet.size > 0 and packet.is_corrupt:
        return None
    try:
        return packet.decode()
    except EndOfFile:
        return []
    except (FFmpegError, OSError, ValueError) as exc:
        logger.debug("packet at byte %s: %s", packet.pos, exc)
        return None


def _require_size(picture: VideoFrame, size_wh: SizeWH, index: int, path: Path) -> None:
    if (picture.width, picture.height) != size_wh:
        raise VideoError(
            f"{path}: frame {index} is {picture.width}x{picture.height}, the frames before are "
            f"{size_wh[0]}x{size_wh[1]}; cut the video where the size changes"
        )


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise VideoError(f"{path} cannot be read: {exc.strerror}; check the file's rights and the disk") from exc
