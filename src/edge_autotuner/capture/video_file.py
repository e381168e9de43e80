"""Frames of a video file, decoded with PyAV."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge_autotuner.capture.events import EventTeller
from edge_autotuner.capture.levels import Levels, find_levels
from edge_autotuner.capture.shown import deep_grey_of, is_deep_grey, scale_max_of, shown_picture
from edge_autotuner.capture.upright import orientation_of
from edge_autotuner.capture.video_packets import (
    FrameNumbers,
    decoded_pictures,
    open_video,
    read_packet_times,
    stamp_of,
    video_stream,
)
from edge_autotuner.core import Damage, Frame, OnEvent, SourceBase, SourceInfo, ignore_event
from edge_autotuner.core.file_names import text_of_name
from edge_autotuner.core.sources import do_nothing
from edge_autotuner.errors import VideoError
from edge_autotuner.storage import file_sha256

logger = logging.getLogger(__name__)

_VISIBLE_STRETCH = 0.01  # of pixels: encoders state 16384:16383 and mean 1:1
_HDR_CURVES = {16: "PQ", 18: "HLG"}  # transfer characteristics of ITU-T H.273
_LEVEL_SAMPLES = 16  # frames at the start that show which of its 65,536 values a thermal camera uses


class VideoFile(SourceBase):
    """A recorded video as a `FrameSource`.

    Pictures are upright, as the file states it. Times are made of the file's stamps; those that cannot be right are
    repaired. Frames that cannot be decoded are left out and keep their number, a broken tail ends the video, and the
    size may change. All of it is logged, told to `on_event` and counted, as long as one frame could be decoded.

    Attributes:
        info: facts about the video; `n_frames` is the number of packets that hold a frame.
        damage: what the last call of `frames` had to leave out or repair.
    """

    def __init__(self, path: Path, *, on_event: OnEvent = ignore_event) -> None:
        """Read the file once, without decoding more than its first frames.

        Raises:
            VideoError: the file is missing, unreadable, not a video, or has no frame that can be decoded.
        """
        self._path = path
        self._on_event = on_event
        self.damage = Damage()
        first = next(decoded_pictures(path, Damage()))
        _warn_of_what_is_not_followed(path, first)
        self._levels = _find_levels(path, first)
        packets = self._packets = read_packet_times(path)
        self.info = SourceInfo(
            kind="video",
            name=text_of_name(path.name),
            size_wh=orientation_of(first).size_of((first.width, first.height)),
            n_frames=max(1, len(packets.times_s)),
            rate_hz=packets.rate_hz,
            sha256=_hash_file(path),
        )

    def span_s(self, frames: range) -> float:
        """Return how long a part of the video lasts, seconds, by its stamps; more than 0.

        Args:
            frames: at least one, step 1.
        """
        times_s = self._packets.times_s
        end = min(frames.stop, len(times_s) - 1)
        start = min(frames.start, end)
        lasting_s = float(times_s[end] - times_s[start]) if len(times_s) else 0.0
        return lasting_s + (frames.stop - frames.start - (end - start)) / self.info.rate_hz

    def frames(self, *, while_waiting: Callable[[], None] = do_nothing) -> Iterator[Frame]:
        """Yield the frames in the order in which they are shown; `time_s` starts at 0.

        Raises:
            VideoError: nothing could be decoded.
        """
        damage = self.damage = Damage()
        teller = EventTeller(self._path, self._on_event)
        numbers, times = FrameNumbers(self._packets, damage), self._packets.new_times()
        size_wh, seen = self.info.size_wh, Damage()
        for picture in decoded_pictures(self._path, damage):
            stamp_s = stamp_of(picture)
            index, time_s = numbers.next(stamp_s), times.next(stamp_s)
            damage.n_times_repaired = times.n_repaired
            frame = Frame(index, time_s, *shown_picture(picture, self._levels))
            teller.note_size(frame, size_wh)
            size_wh = frame.size_wh
            if damage.n_times_repaired > seen.n_times_repaired:
                teller.tell("times repaired", time_s, f"frame {index}: its time stamp was missing or did not increase")
            if damage.n_lost > seen.n_lost:
                teller.tell("frames lost", time_s, f"before frame {index}: damaged, could not be decoded")
            seen = replace(damage)
            yield frame
        self._sum_up(damage)

    def _sum_up(self, damage: Damage) -> None:
        if damage.n_lost:
            logger.warning("%s: skipped %d damaged frames", self._path, damage.n_lost)
        if self._packets.is_cut_off:
            logger.warning("%s: truncated; skipped its damaged end", self._path)
        if damage.n_times_repaired:
            words = "%s: repaired %d time stamps that were missing or did not increase"
            logger.warning(words, self._path, damage.n_times_repaired)


def _find_levels(path: Path, first: VideoFrame) -> Levels | None:
    """Return how to show a grey video of more than 8 bits; None for any other."""
    if not is_deep_grey(first):
        return None
    pictures = islice(decoded_pictures(path, Damage()), _LEVEL_SAMPLES)
    levels = find_levels((deep_grey_of(picture) for picture in pictures), scale_max=scale_max_of(first))
    if levels.is_stretched:
        n_bits = first.format.components[0].bits
        logger.warning("%s: %d-bit grey: %s", path, n_bits, levels)
    return levels


def _hash_file(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as exc:
        raise VideoError(f"{path} cannot be read: {exc.strerror}; check the file's permissions and the disk") from exc


def _warn_of_what_is_not_followed(path: Path, first: VideoFrame) -> None:
    """Log a warning for each property that a video states and the reader does not apply.

    Rotation, cropping by the codec, colour matrix and range, edit lists and stamps are applied.
    """
    with open_video(path) as container:
        stream = video_stream(container, path)
        others = [other for other in container.streams.video if other.index != stream.index]
        for words in (*_facts_of_stream(stream, others), *_facts_of_picture(first)):
            logger.warning("%s: %s", path, words)


def _facts_of_stream(stream: VideoStream, others: list[VideoStream]) -> list[str]:
    """Describe each stated fact of the stream that is not followed, in one sentence."""
    found = []
    n_films = sum(not other.disposition & Disposition.attached_pic for other in others)
    if n_films:
        found.append(f"holds {n_films + 1} video streams; stream {stream.index} is read, the first one")
    ratio = stream.sample_aspect_ratio
    if ratio and abs(ratio - 1) > _VISIBLE_STRETCH:
        found.append(
            f"has non-square pixels ({ratio.numerator}:{ratio.denominator}); they are used as stored, and boxes are "
            f"in stored pixels"
        )
    return found


def _facts_of_picture(picture: VideoFrame) -> list[str]:
    """Describe each stated fact of a picture that is not followed, in one sentence."""
    found = []
    if picture.interlaced_frame:
        found.append("is interlaced; both fields are used as one picture, so moving objects have combed edges")
    curve = _HDR_CURVES.get(int(picture.color_trc))
    if curve:
        found.append(f"is HDR ({curve}); it is not tone-mapped and looks flat")
    if not orientation_of(picture).is_exact:
        found.append("asks for a rotation that is not a multiple of 90 degrees; it is ignored")
    return found
