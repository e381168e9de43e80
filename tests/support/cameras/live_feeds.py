"""Feeds in memory for the tests of live sources: they do what a script says, in simulated time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from edge_autotuner.capture.live import FeedError, Picture
from edge_autotuner.core import CaptureEvent, FakeClock
from edge_autotuner.core.types import ImageArray, SizeWH

INTERVAL_S = 0.1
"""Simulated time between two pictures."""

REFUSED = FeedError("connection failed", "connection refused")
LOST = FeedError("connection lost", "the camera closed the connection")
WRONG_PASSWORD = FeedError("connection failed", "the password is wrong", is_permanent=True)


def picture(level: int, size_wh: SizeWH = (32, 24)) -> ImageArray:
    """Return a grey picture that is different for every level."""
    return np.full((size_wh[1], size_wh[0]), level % 256, np.uint8)


def pictures(n: int, *, first: int = 0, size_wh: SizeWH = (32, 24)) -> list[ImageArray]:
    """Return n pictures; none is the same as its neighbours."""
    return [picture(first + number, size_wh) for number in range(n)]


@dataclass(frozen=True)
class Visit:
    """What one connection does.

    Attributes:
        shown: pictures that it gives.
        ending: what it raises after them; None: the source says that it is over.
        refusal: what `connect` raises instead.
        rate_hz: the stated rate.
    """

    shown: Sequence[ImageArray] = ()
    ending: FeedError | None = None
    refusal: FeedError | None = None
    rate_hz: float | None = 10.0

    def pictures(self) -> Iterator[Picture]:
        """Give the pictures, then do what the script says."""
        for luma in self.shown:
            yield Picture(luma, lambda luma=luma: np.repeat(luma[:, :, None], 3, axis=2))  # type: ignore[misc]
        if self.ending is not None:
            raise FeedError(self.ending.kind, str(self.ending), is_permanent=self.ending.is_permanent)


class ScriptedFeed:
    """A feed that plays a list of visits; the last one is repeated for ever.

    Attributes:
        n_visits: how often it was connected to.
        n_open: connections that are open now.
    """

    def __init__(self, *visits: Visit, clock: FakeClock | None = None, can_reconnect: bool = True) -> None:
        self.name, self.sha256 = "scripted", "5" * 64
        self.can_reconnect = can_reconnect
        self.longest_block_s = 1.0
        self.length_s: float | None = None
        self.n_visits = self.n_open = 0
        self._visits = visits
        self._clock = clock

    @contextmanager
    def connect(self, stop: threading.Event) -> Iterator[_Connection]:
        """Begin the next visit."""
        visit = self._visits[min(self.n_visits, len(self._visits) - 1)]
        self.n_visits += 1
        if visit.refusal is not None:
            raise FeedError(visit.refusal.kind, str(visit.refusal), is_permanent=visit.refusal.is_permanent)
        self.n_open += 1
        try:
            yield _Connection(visit, self._clock, stop)
        finally:
            self.n_open -= 1


@dataclass
class _Connection:
    visit: Visit
    clock: FakeClock | None
    stop: threading.Event

    @property
    def rate_hz(self) -> float | None:
        return self.visit.rate_hz

    def pictures(self) -> Iterator[Picture]:
        for number, shown in enumerate(self.visit.pictures()):
            if self.stop.is_set():
                return
            if self.clock is not None and number > 0:
                self.clock.advance(INTERVAL_S)
            yield shown


@dataclass
class EventList:
    """Keeps the events of a source."""

    events: list[CaptureEvent] = field(default_factory=list)

    def __call__(self, event: CaptureEvent) -> None:
        self.events.append(event)

    @property
    def kinds(self) -> list[str]:
        """What happened, in order."""
        return [event.kind for event in self.events]

    def details(self, kind: str) -> list[str]:
        """Return what was said about the events of one kind."""
        return [event.detail for event in self.events if event.kind == kind]
