"""Gives each picture of a camera its number and its times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from edge_autotuner.core import Clock, ClockJumps

_JUMP_S = 2.0  # time servers move a clock by less than this between two pictures


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
