"""Clocks, deadlines, and durations as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from edge_autotuner.core import ClockJumps, Deadline, FakeClock, SystemClock
from edge_autotuner.core.clock import parse_duration_s
from edge_autotuner.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("90 sec", 90),
        ("10min", 600),
        ("10m", 600),
        ("1h30m", 5400),
        ("1h 30m 5s", 5405),
        ("1.5h", 5400),
        ("2d", 172800),
        (" 1H ", 3600),
        (0.25, 0.25),
        (7, 7),
    ],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "5 apples", "h", "-5", "10min!", "1:30", "1e3", "1h30", "10 20s", "1.5.2"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a duration; use"):
        parse_duration_s(text)


@pytest.mark.parametrize("text", [0, -1, "0", "0min", float("inf"), float("nan")])
def test_a_duration_is_positive_and_finite(text: str | float) -> None:
    with pytest.raises(ConfigError, match="must be positive"):
        parse_duration_s(text)


def test_a_long_wrong_text_is_refused_at_once() -> None:
    with pytest.raises(ConfigError):  # a pattern that tries all partitions of the digits would run for years
        parse_duration_s("1" * 200 + "!")


def test_a_deadline_counts_from_its_creation() -> None:
    clock = FakeClock(elapsed_s=100)
    deadline = Deadline(10, clock)
    clock.advance(4)
    assert (deadline.elapsed_s, deadline.remaining_s, deadline.has_passed) == (4, 6, False)
    clock.advance(6)
    assert (deadline.remaining_s, deadline.has_passed) == (0, True)
    clock.advance(5)
    assert (deadline.elapsed_s, deadline.remaining_s, deadline.has_passed) == (15, 0, True)


def test_without_a_budget_a_deadline_never_passes() -> None:
    clock = FakeClock()
    deadline = Deadline(None, clock)
    clock.advance(1e12)
    assert deadline.remaining_s == float("inf")
    assert not deadline.has_passed


def test_a_fake_clock_moves_only_when_told_to() -> None:
    clock = FakeClock()
    assert clock.now() == clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    clock.advance(90)
    assert clock.now() - clock.started_at == timedelta(seconds=90)
    assert clock.monotonic_s() == 90


def test_the_system_clock_is_aware_and_never_runs_backwards() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    first, second = clock.monotonic_s(), clock.monotonic_s()
    assert second >= first


@pytest.mark.parametrize(("set_by_s", "expected_s"), [(0.0, 0.0), (1.9, 0.0), (2.5, 2.5), (-7200.0, -7200.0)])
def test_a_wall_clock_that_is_set_is_noticed_once(set_by_s: float, expected_s: float) -> None:
    clock = FakeClock()
    jumps = ClockJumps(clock, min_jump_s=2.0)
    clock.advance(3600)
    assert jumps.look() == 0
    clock.started_at += timedelta(seconds=set_by_s)
    clock.advance(1)
    assert jumps.look() == pytest.approx(expected_s)
    assert jumps.look() == 0
