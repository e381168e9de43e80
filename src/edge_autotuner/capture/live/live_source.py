"""A live camera as a source of frames."""

from __future__ import annotations

import logging
import math
import threading
import weakref
from collections.abc import Callable, Iterator

import numpy as np

from edge_autotuner.capture.live.feed import Feed
from edge_autotuner.capture.live.latest_frame import LatestFrame
from edge_autotuner.capture.live.reader import FeedReader, Numbering
from edge_autotuner.capture.live.waiting import Wait, wait_by
from edge_autotuner.config import StreamConfig
from edge_autotuner.core import Clock, Frame, OnEvent, SourceBase, SourceInfo, SystemClock, ignore_event
from edge_autotuner.core.sources import do_nothing
from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import VideoError

logger = logging.getLogger(__name__)

_ASSUMED_RATE_HZ = 25.0  # for the cameras that state none
_SLICE_S = 0.1  # how often a wait for a frame looks whether it is still worth it
_HUNG_MARGIN_S = 60.0  # beyond every time-out: name servers and drivers may take their time
_END_MARGIN_S = 5.0


class LiveSource(SourceBase):
    """A feed as a `FrameSource`: fresh frames with wall-clock stamps, whatever happens to the connection.

    A thread reads the feed. A slow reader gets the newest frame; frames that were not taken in time are dropped and
    counted, and memory does not grow. When a camera fails, the thread reports it and reconnects; `frames` continues
    when there are pictures again. Close it, or use it in a `with` block.

    Attributes:
        info: facts about the camera; size and rate are those of its first pictures, 25 Hz where it states no rate.
    """

    def __init__(
        self,
        feed: Feed,
        config: StreamConfig | None = None,
        *,
        clock: Clock | None = None,
        wait: Wait | None = None,
        on_event: OnEvent = ignore_event,
        lossless: bool = False,
        start_index: int = 0,
        start_time_s: float = 0.0,
        end_time_s: float | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        """Connect, and wait for the first picture.

        Args:
            feed: where pictures come from.
            config: time-outs and patience.
            clock: of the stamps.
            wait: how to wait for the next attempt; None: by the clock.
            on_event: told what happens to the camera, from the reading thread.
            lossless: let the feed wait for the reader of the frames. For recordings and simulated time.
            start_index: index of the first picture, to continue the numbers of an earlier source.
            start_time_s: time of the start, seconds.
            end_time_s: `frames` ends at this time, also while the camera is away; None for never.
            rng: makes the waits between attempts uneven.

        Raises:
            VideoError: the camera will not work without somebody changing something, or gave no picture for as
                long as the settings allow.
        """
        self._feed = feed
        self._clock = clock or SystemClock()
        self._end_time_s = math.inf if end_time_s is None else end_time_s
        self._config = config or StreamConfig()
        self._stop = threading.Event()
        self._frames = LatestFrame(self._stop, lossless=lossless)
        self._reader = FeedReader(
            feed,
            self._frames,
            self._config,
            self._stop,
            clock=self._clock,
            wait=wait or wait_by(self._clock),
            on_event=on_event,
            rng=rng or np.random.default_rng(),
            numbering=Numbering(start_index, start_time_s, end_time_s),
        )
        self._thread = threading.Thread(target=self._reader.run, name=f"camera {feed.name}", daemon=True)
        weakref.finalize(self, self._stop.set)  # who forgets to close it does not keep a camera busy
        self._thread.start()
        self.info = self._make_info(self._wait_for_first_size())

    @property
    def length_s(self) -> float | None:
        """Seconds of material that there are; None for a camera."""
        return self._feed.length_s

    @property
    def n_pictures(self) -> int:
        """Pictures that the camera gave so far."""
        return self._reader.n_pictures

    @property
    def n_dropped(self) -> int:
        """Pictures among them that nobody took in time."""
        return self._frames.n_dropped

    def frames(self, *, while_waiting: Callable[[], None] = do_nothing) -> Iterator[Frame]:
        """Yield the newest frame repeatedly, until the source ends, is stopped, or reaches its end time.

        Sizes may change between two frames. Indices and times leave gaps where frames were dropped or the
        camera was away.

        Args:
            while_waiting: called from this thread a few times per second as long as no frame comes.

        Raises:
            VideoError: the source failed for good, or its driver hangs.
        """
        while not self._stop.is_set():
            frame = self._next_frame(while_waiting)
            if frame is None:
                return
            yield frame

    def stop(self) -> None:
        """End `frames` and the reading soon, from whatever thread; does not wait."""
        self._stop.set()

    def close(self) -> None:
        """Stop, and wait until the thread has let the camera go, which takes one time-out at most."""
        self.stop()
        self._thread.join(min(self._feed.longest_block_s, _HUNG_MARGIN_S) + _END_MARGIN_S)
        if self._thread.is_alive():
            logger.warning(
                "%s: the driver does not respond; the camera stays in use until this program exits", self.name
            )

    @property
    def name(self) -> str:
        """The camera's name, without secrets."""
        return self._feed.name

    def _wait_for_first_size(self) -> SizeWH:
        try:
            self._wait_for_frame(take=False)
        except BaseException:
            self.stop()
            raise
        assert self._reader.size_wh is not None  # set before the first frame is handed over
        return self._reader.size_wh

    def _make_info(self, size_wh: SizeWH) -> SourceInfo:
        rate_hz = self._reader.rate_hz or _ASSUMED_RATE_HZ
        return SourceInfo("live", self.name, size_wh, None, rate_hz, self._feed.sha256)

    def _next_frame(self, while_waiting: Callable[[], None]) -> Frame | None:
        frame = self._wait_for_frame(take=True, while_waiting=while_waiting)
        if frame is not None and frame.time_s < self._end_time_s:
            return frame
        self.stop()
        return None

    def _wait_for_frame(self, *, take: bool, while_waiting: Callable[[], None] = do_nothing) -> Frame | None:
        """Return the next frame, or None when none will come.

        Raises:
            VideoError: the source failed for good, or its thread hangs.
        """
        look = self._frames.take if take else self._frames.peek
        since_s = self._clock.monotonic_s()
        while not self._stop.is_set():
            is_over = self._frames.is_over  # asked before, or the very last frame could be missed
            frame = look(_SLICE_S)
            if frame is not None or is_over:
                return frame
            if take and self._reader.time_s >= self._end_time_s:
                return None
            while_waiting()
            self._require_sign_of_life(since_s)
        return None

    def _require_sign_of_life(self, since_s: float) -> None:
        """Raise when the thread is stuck in a call that no time-out of FFmpeg ends, as those of webcams may."""
        limit_s = self._feed.longest_block_s + self._config.undecodable_after_s + _HUNG_MARGIN_S
        silent_s = self._clock.monotonic_s() - max(since_s, self._reader.signed_on_s)
        if silent_s > limit_s:
            self.stop()
            advice = "unplug the camera, or restart the machine"
            raise VideoError(f"{self.name}: the camera driver has not responded for {silent_s:.0f} s; {advice}")
