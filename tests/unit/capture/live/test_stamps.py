"""Numbers and times of pictures, with clocks that are set and clocks that are slow."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from edge_autotuner.capture.live.reader import Stamp, StampMaker
from edge_autotuner.core import FakeClock

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class SettableClock(FakeClock):
    """A clock whose wall time can be set without its durations changing."""

    offset_s: float = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.offset_s)


@dataclass
class Jumps:
    seen: list[float] = field(default_factory=list)

    def __call__(self, jump_s: float, stamp: Stamp) -> None:
        self.seen.append(jump_s)


def test_times_count_from_the_start() -> None:
    clock = SettableClock(elapsed_s=1234.5)
    stamps = StampMaker(clock, start_time_s=60.0, on_jump=Jumps())
    clock.advance(2.5)
    stamp = stamps.now()
    assert stamp.time_s == stamps.time_s == 62.5
    assert stamp.captured_at == BEGIN + timedelta(seconds=1237)
    assert stamp.captured_at.tzinfo is UTC


@pytest.mark.parametrize("jump_s", [-7200.0, -2.5, 2.5, 86400.0])
def test_a_clock_that_was_set_is_noticed_once_and_durations_go_on(jump_s: float) -> None:
    clock, jumps = SettableClock(), Jumps()
    stamps = StampMaker(clock, on_jump=jumps)
    before = stamps.now()
    clock.offset_s += jump_s
    clock.advance(1.0)
    after = stamps.now()
    clock.advance(1.0)
    stamps.now()
    assert jumps.seen == [pytest.approx(jump_s)]
    assert after.time_s - before.time_s == 1.0
    assert after.captured_at - before.captured_at == timedelta(seconds=1 + jump_s)


def test_a_clock_that_is_drawn_near_is_no_jump_even_over_months() -> None:
    clock, jumps = SettableClock(), Jumps()
    stamps = StampMaker(clock, on_jump=jumps)
    for _ in range(100 * 24):
        clock.advance(3600.0)
        clock.offset_s += 3600 * 500e-6  # as fast as a time server may do it
        stamps.now()
    assert jumps.seen == []


def test_a_short_jump_is_not_reported() -> None:
    clock, jumps = SettableClock(), Jumps()
    stamps = StampMaker(clock, on_jump=jumps)
    clock.offset_s = 1.9
    stamps.now()
    assert jumps.seen == []


def test_no_drift_over_days() -> None:
    clock = SettableClock()
    stamps = StampMaker(clock, on_jump=Jumps())
    n = 25 * 3600
    for _ in range(n):
        clock.advance(0.04)
        stamps.now()
    clock.elapsed_s = 30 * 86400.0  # a month, exactly
    assert stamps.now().time_s == 30 * 86400.0
