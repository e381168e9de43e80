"""Clocks that tests can replace, deadlines of jobs, and durations as text."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from edge_autotuner.errors import ConfigError


class Clock(Protocol):
    """Wall time for stamps, monotonic time for durations."""

    def now(self) -> datetime:
        """Return the aware UTC wall time."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that never run backwards."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the aware UTC wall time."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()


@dataclass
class FakeClock:
    """A clock that moves only when told to."""

    started_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    elapsed_s: float = 0.0

    def now(self) -> datetime:
        """Return the start plus what was advanced."""
        return self.started_at + timedelta(seconds=self.elapsed_s)

    def monotonic_s(self) -> float:
        """Return the time advanced."""
        return self.elapsed_s

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self.elapsed_s += seconds


class ClockJumps:
    """Notices when the wall clock was set, by comparing it with the monotonic clock.

    Args:
        clock: gives both times.
        min_jump_s: smaller differences between two looks are those of a time server, and are no jump.
    """

    def __init__(self, clock: Clock, *, min_jump_s: float) -> None:
        self._clock, self._min_jump_s = clock, min_jump_s
        self._last = clock.now(), clock.monotonic_s()

    def look(self) -> float:
        """Return by how many seconds the wall clock was set since the last look, negative for back; 0 if it was not."""
        (wall, elapsed_s), self._last = self._last, (self._clock.now(), self._clock.monotonic_s())
        jump_s = (self._last[0] - wall - timedelta(seconds=self._last[1] - elapsed_s)).total_seconds()
        return jump_s if abs(jump_s) > self._min_jump_s else 0.0


@dataclass
class Deadline:
    """A moment after which a job stops at the next safe point.

    Attributes:
        budget_s: seconds from the creation of this object; None for no deadline.
        clock: where time comes from.
    """

    budget_s: float | None = None
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        self._started_s = self.clock.monotonic_s()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self.clock.monotonic_s() - self._started_s

    @property
    def remaining_s(self) -> float:
        """Seconds left, never negative; infinite without a deadline."""
        return float("inf") if self.budget_s is None else max(0.0, self.budget_s - self.elapsed_s)

    @property
    def has_passed(self) -> bool:
        """Whether the time is used up."""
        return self.remaining_s <= 0.0


_TOO_LONG_S = 1e300
_MAX_SHOWN = 60
_UNIT_S = {"": 1.0, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER_AND_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
_DURATION = re.compile(r"\d+(\.\d+)?|(\d+(\.\d+)?\s*(s|sec|m|min|h|d)\s*)+")  # a unit ends each part: linear time


def parse_duration_s(text: str | float) -> float:
    """Read "90", "90s", "10min", "1h30m" or a number of seconds.

    >>> parse_duration_s("1h30m")
    5400.0

    Raises:
        ConfigError: it is not a positive duration.
    """
    if isinstance(text, int | float):
        seconds = float(text) if text < _TOO_LONG_S else float("inf")  # a float cannot hold every whole number
    else:
        lowered = text.strip().lower()
        if not _DURATION.fullmatch(lowered):
            raise ConfigError(f"'{_shortened(text)}' is not a duration; use e.g. 90s, 10min or 1h30m")
        parts = _NUMBER_AND_UNIT.findall(lowered)
        seconds = sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"a duration must be positive and finite, got '{_shortened(text)}'")
    return seconds


def _shortened(text: str | float) -> str:
    """Return what somebody wrote, cut where it is no longer of use."""
    shown = str(text)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}..."
