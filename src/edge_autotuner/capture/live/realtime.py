"""A recording played at its own pace, as if it were filmed now."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge_autotuner.capture.live.feed import Picture
from edge_autotuner.capture.live.waiting import Pace, Wait, wait_by
from edge_autotuner.core import Clock, Frame, FrameSource, SystemClock


class RealtimeFeed:
    """A recorded source as a feed; it is played once and ends at its end.

    A reader that is slower than the recording misses frames, as it would with a camera.

    Attributes:
        name: the recording's.
        sha256: the recording's.
        can_reconnect: False.
        longest_block_s: infinite: there may be any time between two frames.
        length_s: the recording's, by its number of frames.
    """

    can_reconnect = False
    longest_block_s = math.inf

    def __init__(self, source: FrameSource, *, clock: Clock | None = None, wait: Wait | None = None) -> None:
        self._source = source
        self._clock = clock or SystemClock()
        self._wait = wait or wait_by(self._clock)
        info = source.info
        n_frames = info.n_frames
        self.length_s = None if n_frames is None else n_frames / info.rate_hz  # measured by the stamps
        self.name = source.info.name
        self.sha256 = source.info.sha256

    @contextmanager
    def connect(self, stop: threading.Event) -> Iterator[Playback]:
        """Begin to play."""
        yield Playback(self._source, Pace(self._clock, self._wait), stop)


@dataclass(frozen=True)
class Playback:
    """A recording that is being played."""

    source: FrameSource
    pace: Pace
    stop: threading.Event

    @property
    def rate_hz(self) -> float:
        """Frames per second of the recording."""
        return self.source.info.rate_hz

    def pictures(self) -> Iterator[Picture]:
        """Yield each frame when its time has come.

        Raises:
            VideoError: the recording is damaged.
        """
        for frame in self.source.frames():
            self.pace.wait_for(frame.time_s, self.stop)
            if self.stop.is_set():
                return
            yield _picture_of(frame)


def _picture_of(frame: Frame) -> Picture:
    return Picture(frame.luma, lambda: frame.image_bgr)
