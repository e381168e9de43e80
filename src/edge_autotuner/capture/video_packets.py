"""What FFmpeg reads from a video file: its picture stream, its stamps, and its pictures with their numbers."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import EOFError as EndOfFile
from av.error import FFmpegError
from av.format import formats_available
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from edge_autotuner.capture.frame_times import LONGEST_GAP_S, LONGEST_STREAM_GAP_S, RESTART_S, FrameTimes
from edge_autotuner.core import Damage
from edge_autotuner.errors import VideoError

logger = logging.getLogger(__name__)

_ASSUMED_RATE_HZ = 25.0  # for the rare file that does not tell its rate
_SAME_RATE = 0.05  # a stated rate that differs by less from the measured one is exact, the measured one is not
_TEXT_FORMATS = {"tty", "subviewer", "srt", "webvtt"}  # FFmpeg "plays" text files
_LONGEST_LOSS = 1000  # packets that are searched for a stamp
_LONGEST_DELAY = 64  # pictures that a decoder may still give out after an error: its threads, and those it reorders
_SAME_STAMP_S = 1e-6
_CLOCK_MAY_RESTART = 0x0200  # AVFMT_TS_DISCONT
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device that is not a camera"),
    (stat.S_ISBLK, "a disk"),
)


# Containers that lead FFmpeg to other files: a playlist that a camera sends, or that is named like a video, could make
# it read any file of this machine, or request data from another one.
_LEADING_ELSEWHERE = frozenset(
    {"concat", "dash", "hls", "image2", "imf", "mlv", "rtp", "rtsp", "sap", "sdp", "vobsub", "webm_dash_manifest"}
)


@cache
def self_contained_formats() -> str:
    """Return the names of all formats whose pictures are in the one file, as FFmpeg's `format_whitelist` wants them."""
    return ",".join(sorted(set(formats_available) - _LEADING_ELSEWHERE))


def one_file_options() -> dict[str, str]:
    """Return options of FFmpeg under which it reads the file that it is given, and no other."""
    return {"protocol_whitelist": "file", "format_whitelist": self_contained_formats()}


@dataclass(frozen=True, eq=False)
class PacketTimes:
    """What the packets of a file say, without decoding them.

    Attributes:
        stamps_s: (N,) stamp of each frame in the order in which they are shown; NaN where there is none.
        times_s: (N,) time of each frame, made of these stamps; starts at 0 and rises.
        rate_hz: frames per second by these times; as stated, where the two agree or there are no stamps.
        is_cut_off: whether the file ends within a frame, which is not counted.
        stated_hz: frames per second as stated, or 25.
        longest_gap_s: how far ahead a stamp may be of the one before.
    """

    stamps_s: NDArray[np.float64]
    times_s: NDArray[np.float64]
    rate_hz: float
    is_cut_off: bool
    stated_hz: float
    longest_gap_s: float

    def new_times(self) -> FrameTimes:
        """Return the source of this file's frame times."""
        return FrameTimes(self.stated_hz, longest_gap_s=self.longest_gap_s)


def require_regular(path: Path) -> None:
    """Refuse what is neither a file nor a folder: to open a pipe waits for its writer, perhaps for good.

    Raises:
        VideoError: it does not exist, cannot be asked, or is a pipe, a socket or a device.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError) as exc:
        if path.is_symlink():
            raise VideoError(f"{path} is a link to {os.readlink(path)}, which does not exist; fix the link") from exc
        raise VideoError(f"{path} does not exist; give a video file or a folder of pictures") from exc
    except (OSError, ValueError) as exc:  # a loop of links, a name that is too long, a zero byte
        reason = getattr(exc, "strerror", None) or str(exc)
        raise VideoError(f"{path} cannot be read: {reason}; give a video file or a folder of pictures") from exc
    for is_kind, words in _KINDS:
        if is_kind(mode):
            raise VideoError(
                f"{path} is {words}, but recordings are read more than once; save it as a file, or give a stream by "
                "its address, e.g. udp://127.0.0.1:5000"
            )


def open_video(path: Path) -> InputContainer:
    """Open a video file.

    Raises:
        VideoError: it is missing, unreadable, or no video.
    """
    require_regular(path)
    try:
        # "file:" keeps a name such as "cam1:front.mp4" from being read as an address
        return av.open(f"file:{path}", mode="r", container_options=one_file_options(), metadata_errors="replace")
    except FileNotFoundError as exc:
        raise VideoError(f"{path} does not exist; give a video file or a folder of pictures") from exc
    except PermissionError as exc:
        raise VideoError(f"{path} cannot be read: permission denied; check the file's permissions") from exc
    except (FFmpegError, OSError, ValueError) as exc:
        hint = "the file is empty" if path.is_file() and path.stat().st_size == 0 else "not a video, or cut off"
        raise VideoError(
            f"{path} cannot be opened as a video ({hint}); check it with a player, or copy it again"
        ) from exc


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Return the stream of pictures: the first that is no cover of an album.

    Raises:
        VideoError: there is none, or this FFmpeg cannot decode it.
    """
    found = [] if container.format.name in _TEXT_FORMATS else list(container.streams.video)
    films = [stream for stream in found if not stream.disposition & Disposition.attached_pic]
    if not films:
        what = "only a cover picture" if found else "no pictures"
        raise VideoError(f"{path} contains {what}; give a video file or a folder of pictures")
    if films[0].codec_context is None:
        raise VideoError(f"{path} cannot be decoded by the installed FFmpeg; convert it to H.264")
    films[0].thread_type = "AUTO"
    return films[0]


def read_packet_times(path: Path) -> PacketTimes:
    """Read the stamps of all packets, up to the end of the file or to the place where it is broken.

    Raises:
        VideoError: it cannot be opened.
    """
    with open_video(path) as container:
        stream = video_stream(container, path)
        stated_hz = float(stream.average_rate or stream.guessed_rate or stream.base_rate or 0) or _ASSUMED_RATE_HZ
        packets, is_cut_off = _shown_packets(container, stream)
        gap_s = LONGEST_STREAM_GAP_S if container.format.flags & _CLOCK_MAY_RESTART else LONGEST_GAP_S
    stamps_s = _in_shown_order(packets)
    times = FrameTimes(stated_hz, longest_gap_s=gap_s)
    times_s = np.array([times.next(None if np.isnan(stamp_s) else float(stamp_s)) for stamp_s in stamps_s], np.float64)
    span_s = float(times_s[-1]) if len(times_s) else 0.0
    measured_hz = (len(times_s) - 1) / span_s if span_s > 0 else stated_hz
    rate_hz = stated_hz if abs(stated_hz / measured_hz - 1) < _SAME_RATE else measured_hz
    return PacketTimes(stamps_s, times_s, rate_hz, is_cut_off, stated_hz, gap_s)


def decoded_pictures(path: Path, damage: Damage) -> Iterator[VideoFrame]:
    """Yield every picture that can be decoded, in the order in which they are shown.

    What a decoder gives out counts, whatever its packet was marked as: FFmpeg marks intact ones, too.

    Errors of the decoder are counted in `damage`.

    Raises:
        VideoError: it cannot be opened, or nothing could be decoded.
    """
    is_empty = True
    with open_video(path) as container:
        packets = container.demux(video_stream(container, path))
        while (packet := _next_packet(packets, path)) is not None:
            pictures = _decode_packet(packet)
            damage.n_errors += pictures is None
            for picture in pictures or ():
                is_empty = False
                yield picture
    if is_empty:
        raise VideoError(f"{path} has no decodable frame; check it with a player, or copy it again")


def stamp_of(picture: VideoFrame) -> float | None:
    """Return the stamp of a picture, seconds; None where there is none."""
    if picture.pts is None or picture.time_base is None:
        return None
    return float(picture.pts * picture.time_base)


class FrameNumbers:
    """Numbers pictures; those that are lost after the first one take their number with them.

    A lost picture is one whose packet has a stamp between those of two decoded pictures, and for which the decoder has
    reported an error: so a ground truth still fits, and packets that hold no picture of their own do no harm. A decoder
    that works ahead reports the error while pictures from before the loss are still to come.

    Args:
        packets: of the same file.
        damage: counts the errors of the decoder; the lost pictures are added.
    """

    def __init__(self, packets: PacketTimes, damage: Damage) -> None:
        self._stamps_s = packets.stamps_s
        self._damage = damage
        self._n_errors_seen = 0
        self._n_pending = 0  # errors whose picture has not been missed yet
        self._n_since_error = 0  # pictures
        self._next_packet = 0
        self._index = -1

    def next(self, stamp_s: float | None) -> int:
        """Return the number of the picture with this stamp."""
        self._note_errors()
        position = self._position_of(stamp_s)
        if self._index >= 0 and self._n_pending:
            n_lost = self._n_pending if position is None else position - self._next_packet
            self._n_pending = max(0, self._n_pending - n_lost)
            self._damage.n_lost += n_lost
            self._index += n_lost
        self._next_packet = (self._next_packet if position is None else position) + 1
        self._index += 1
        return self._index

    def _note_errors(self) -> None:
        """Count the errors that the decoder has reported since the last picture, and forget old ones."""
        n_new, self._n_errors_seen = self._damage.n_errors - self._n_errors_seen, self._damage.n_errors
        self._n_since_error = 0 if n_new else self._n_since_error + 1
        self._n_pending = (self._n_pending if self._n_since_error <= _LONGEST_DELAY else 0) + n_new

    def _position_of(self, stamp_s: float | None) -> int | None:
        """Return the index of the packet with a stamp, from the expected one on; None if none of the next has it."""
        if stamp_s is None:
            return None
        ahead = self._stamps_s[self._next_packet : self._next_packet + _LONGEST_LOSS]
        found = np.flatnonzero(np.abs(ahead - stamp_s) < _SAME_STAMP_S)
        return None if len(found) == 0 else self._next_packet + int(found[0])


def _shown_packets(container: InputContainer, stream: VideoStream) -> tuple[list[tuple[float, float]], bool]:
    """Return stamp of showing and stamp of decoding of all packets whose frames are shown; NaN for none.

    Returns:
        The packets in the order of the file, and whether it ends within one, which is left out.
    """
    packets: list[tuple[float, float]] = []
    is_cut_off = False
    with contextlib.suppress(FFmpegError, OSError):
        for packet in container.demux(stream):
            if packet.size > 0 and not packet.is_discard:
                packets.append((_seconds(packet, packet.pts), _seconds(packet, packet.dts)))
                is_cut_off = packet.is_corrupt
    return (packets[:-1] if is_cut_off else packets), is_cut_off


def _seconds(packet: Packet[VideoStream], ticks: int | None) -> float:
    return math.nan if ticks is None or packet.time_base is None else float(ticks * packet.time_base)


def _in_shown_order(packets: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Return the stamps in the order in which frames are shown; no sorting across a restart of the clock."""
    parts: list[list[float]] = [[]]
    newest_s = -math.inf
    for shown_s, decoded_s in packets:
        clock_s = shown_s if math.isnan(decoded_s) else decoded_s
        if clock_s < newest_s - RESTART_S:
            parts.append([])
            newest_s = -math.inf
        newest_s = max(newest_s, clock_s) if not math.isnan(clock_s) else newest_s
        parts[-1].append(shown_s if not math.isnan(shown_s) else decoded_s)
    return np.array([stamp_s for part in parts for stamp_s in _sorted_but_nan(part)], np.float64)


def _sorted_but_nan(stamps: Sequence[float]) -> Sequence[float]:
    """Return stamps in rising order; where some are missing, those between keep apart what is before and behind."""
    ordered: list[float] = []
    for is_missing, run in groupby(stamps, key=math.isnan):
        part = list(run)
        ordered += part if is_missing else sorted(part)
    return ordered


def _next_packet(packets: Iterator[Packet[VideoStream]], path: Path) -> Packet[VideoStream] | None:
    """Return the next packet, or None at the end of the file or where it cannot be read any further."""
    try:
        return next(packets, None)
    except (FFmpegError, OSError) as exc:
        logger.warning("%s: reading ended early: %s", path, exc)
        return None


def _decode_packet(packet: Packet[VideoStream]) -> list[VideoFrame] | None:
    """Return the pictures that a packet completes, or None when its frame is lost."""
    try:
        return packet.decode()
    except EndOfFile:
        return []
    except (FFmpegError, OSError, ValueError) as exc:
        logger.debug("packet at byte %s: %s", packet.pos, exc)
        return None if packet.size > 0 else []
