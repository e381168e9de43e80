"""The thread that reads a feed: it connects, hands frames over, and reconnects after a failure."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from edge_autotuner.capture.live.feed import Connection, Feed, FeedError, Picture
from edge_autotuner.capture.live.freeze import FreezeWatch
from edge_autotuner.capture.live.latest_frame import LatestFrame
from edge_autotuner.capture.live.waiting import Wait
from edge_autotuner.config import StreamConfig
from edge_autotuner.core import Backoff, CaptureEvent, Clock, ClockJumps, EventKind, Frame, OnEvent
from edge_autotuner.core.backoff import UNEVEN
from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import VideoError

logger = logging.getLogger(__name__)

_SAME_RATE = 0.05  # stated rates that differ by a smaller share mean the same (29.97 and 30)
_JUMP_S = 2.0  # time servers move a clock by less than this between two pictures
_LEVELS: dict[EventKind, int] = {"connected": logging.INFO, "ended": logging.INFO}


@dataclass(frozen=True)
class Numbering:
    """Where the numbers and times of a source begin and end.

    Attributes:
        start_index: of the first picture.
        start_time_s: what the time of the start is, seconds.
        end_time_s: when to stop reconnecting; None for never.
    """

    start_index: int = 0
    start_time_s: float = 0.0
    end_time_s: float | None = None


class FeedReader:
    """Reads one feed until it ends, fails for good, or is stopped; `run` is the thread's function.

    Attributes:
        n_pictures: pictures that the feed gave so far.
        size_wh: of the newest picture, or None before the first.
        rate_hz: the rate that the feed stated last, or None.
        signed_on_s: monotonic time until which it is known that the thread did not hang.
    """

    def __init__(
        self,
        feed: Feed,
        frames: LatestFrame,
        config: StreamConfig,
        stop: threading.Event,
        *,
        clock: Clock,
        wait: Wait,
        on_event: OnEvent,
        rng: np.random.Generator,
        numbering: Numbering,
    ) -> None:
        self._feed = feed
        self._frames = frames
        self._config = config
        self._stop = stop
        self._clock = clock
        self._wait = wait
        self._on_event = on_event
        self._numbering = numbering
        self._backoff = Backoff(config.first_retry_s, config.longest_retry_s, jitter=UNEVEN, draw=rng.uniform)
        self._freeze = FreezeWatch(config.frozen_after_s if feed.can_reconnect else None)
        self._stamps = StampMaker(clock, start_time_s=numbering.start_time_s, on_jump=self._report_jump)
        self._last_picture_s = clock.monotonic_s()
        self.signed_on_s = self._last_picture_s
        self.n_pictures = 0
        self.size_wh: SizeWH | None = None
        self.rate_hz: float | None = None

    @property
    def time_s(self) -> float:
        """Seconds since the start of the source, now."""
        return self._stamps.time_s

    def run(self) -> None:
        """Read until the feed ends; the reader of the frames gets the failure, if there was one."""
        try:
            self._read_until_over()
        except Exception as exc:  # the thread's edge: every failure belongs to the reader of the frames
            self._frames.end(exc)
        else:
            self._frames.end()

    def _read_until_over(self) -> None:
        while not self._stop.is_set():
            failure = self._follow_one_connection()
            if failure is None:
                return
            wait_s = self._plan_next_attempt(failure)
            self.signed_on_s = self._clock.monotonic_s() + wait_s
            self._wait(wait_s, self._stop)

    def _follow_one_connection(self) -> FeedError | None:
        """Hand over the pictures of a connection; return what interrupted it, or None when it was no trouble."""
        self._sign_on()
        is_first = True
        try:
            with self._feed.connect(self._stop) as connection:
                self._sign_on()
                for picture in connection.pictures():
                    if self._stop.is_set():
                        return None
                    if is_first:
                        self._note_connected(picture, connection)
                        is_first = False
                    self._hand_over(picture)
        except FeedError as exc:
            return exc.with_traceback(None)  # it would keep the connection and its last picture
        return None if self._stop.is_set() else self._note_end()

    def _hand_over(self, picture: Picture) -> None:
        stamp = self._stamps.now()
        self._note_size(picture, stamp)
        index = self._numbering.start_index + self.n_pictures
        self.n_pictures += 1
        self._last_picture_s = self._clock.monotonic_s()
        frame = Frame(index, stamp.time_s, picture.luma, picture.to_bgr, captured_at=stamp.captured_at)
        self._frames.put(frame)
        self._sign_on()
        still_s = self._freeze.see(picture.luma, self._last_picture_s)
        if still_s is not None:
            raise FeedError("frozen", f"the picture has been bit-identical for {still_s:.0f} s")

    def _note_connected(self, picture: Picture, connection: Connection) -> None:
        height, width = picture.luma.shape
        stated = "an unspecified rate" if connection.rate_hz is None else f"{connection.rate_hz:g} Hz"
        self._tell("connected", f"receiving {width}x{height} pictures at {stated}")
        if self.rate_hz and connection.rate_hz and abs(connection.rate_hz / self.rate_hz - 1) > _SAME_RATE:
            self._tell("rate changed", f"{connection.rate_hz:g} Hz, was {self.rate_hz:g} Hz")
        self.rate_hz = connection.rate_hz or self.rate_hz
        self._freeze.pause(self._clock.monotonic_s())
        self._backoff.reset()

    def _note_size(self, picture: Picture, stamp: Stamp) -> None:
        height, width = picture.luma.shape
        before, self.size_wh = self.size_wh, (width, height)
        if before not in {None, self.size_wh}:
            self._tell("size changed", "{}x{}, was {}x{}".format(*self.size_wh, *before), stamp)

    def _note_end(self) -> FeedError | None:
        if self.n_pictures == 0:
            return FeedError("undecodable", "the source ended without a picture", is_permanent=True)
        self._tell("ended", f"the source ended after {self.n_pictures} pictures")
        return None

    def _plan_next_attempt(self, failure: FeedError) -> float:
        """Tell what happened; return the seconds until the next attempt.

        Raises:
            VideoError: there will be none.
        """
        if not self._feed.can_reconnect or (failure.is_permanent and self.n_pictures == 0):
            raise VideoError(f"{self._feed.name}: {failure}")
        left_s = self._patience_left_s(failure)
        limit_s, wait_s = self._backoff.limit_s, self._backoff.next_wait_s()
        self._tell(failure.kind, f"{failure}; next attempt within {min(limit_s, left_s):.3g} s")
        return min(wait_s, left_s)

    def _patience_left_s(self, failure: FeedError) -> float:
        """Return for how many seconds another attempt is worth it.

        Raises:
            VideoError: no more.
        """
        give_up_s, end_s = self._config.give_up_after_s, self._numbering.end_time_s
        left_s = float("inf")
        if give_up_s is not None:
            left_s = give_up_s - (self._clock.monotonic_s() - self._last_picture_s)
            if left_s <= 0:
                reason = f"no picture for {give_up_s:g} s (capture.stream.give_up_after_s)"
                raise VideoError(f"{self._feed.name}: {failure}; gave up: {reason}")
        if end_s is not None and self.n_pictures == 0:
            left_s = min(left_s, end_s - self.time_s)
            if left_s <= 0:
                reason = "no picture in the whole watch time"
                raise VideoError(f"{self._feed.name}: {failure}; gave up: {reason}")
        return left_s

    def _report_jump(self, jump_s: float, stamp: Stamp) -> None:
        direction = "forward" if jump_s > 0 else "back"
        self._tell("clock jumped", f"the clock of this machine was set {direction} by {abs(jump_s):.3g} s", stamp)

    def _tell(self, kind: EventKind, detail: str, stamp: Stamp | None = None) -> None:
        stamp = stamp or self._stamps.now()
        logger.log(_LEVELS.get(kind, logging.WARNING), "%s: %s: %s", self._feed.name, kind, detail)
        self._on_event(CaptureEvent(kind, stamp.time_s, stamp.captured_at, detail))

    def _sign_on(self) -> None:
        self.signed_on_s = self._clock.monotonic_s()


@dataclass(frozen=True)
class Stamp:
    """When something happened.

    Attributes:
        time_s: seconds since the start of the source; never goes back.
        captured_at: aware UTC wall time.
    """

    time_s: float
    captured_at: datetime


class StampMaker:
    """Counts seconds by the monotonic clock, reads the wall clock, and notices when the latter was set."""

    def __init__(self, clock: Clock, *, start_time_s: float = 0.0, on_jump: Callable[[float, Stamp], None]) -> None:
        """Start now.

        Args:
            clock: where time comes from.
            start_time_s: what the time of this moment is.
            on_jump: told by how many seconds the wall clock was set, negative for back, and when.
        """
        self._clock = clock
        self._start_time_s = start_time_s
        self._on_jump = on_jump
        self._started_s = clock.monotonic_s()
        self._jumps = ClockJumps(clock, min_jump_s=_JUMP_S)

    @property
    def time_s(self) -> float:
        """Seconds since the start of the source, now."""
        return self._start_time_s + self._clock.monotonic_s() - self._started_s

    def now(self) -> Stamp:
        """Return a stamp of this moment."""
        stamp = Stamp(self.time_s, self._clock.now())
        if jump_s := self._jumps.look():
            self._on_jump(jump_s, stamp)
        return stamp
