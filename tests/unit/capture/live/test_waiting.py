"""Waits that tests need not sit through, and pictures that come when it is time for them."""

from __future__ import annotations

import threading

import pytest

from edge_autotuner.capture.live import wait_by, wait_in_real_time, wait_in_simulated_time
from edge_autotuner.capture.live.waiting import Pace
from edge_autotuner.core import FakeClock, SystemClock

GO = threading.Event()  # never set


def test_a_simulated_wait_moves_the_clock() -> None:
    clock = FakeClock()
    wait_in_simulated_time(clock)(3.0, GO)
    assert clock.elapsed_s == 3.0


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_wait(seconds: float) -> None:
    clock = FakeClock()
    wait_in_simulated_time(clock)(seconds, GO)
    wait_in_real_time(seconds, GO)
    assert clock.elapsed_s == 0.0


def test_a_stop_ends_every_wait_at_once() -> None:
    stop = threading.Event()
    stop.set()
    clock = FakeClock()
    wait_in_simulated_time(clock)(1e9, stop)
    wait_in_real_time(1e9, stop)
    assert clock.elapsed_s == 0.0


def test_the_wait_fits_the_clock() -> None:
    clock = FakeClock()
    wait_by(clock)(5.0, GO)
    assert clock.elapsed_s == 5.0
    assert wait_by(SystemClock()) is wait_in_real_time


def test_pictures_come_at_their_times() -> None:
    clock = FakeClock(elapsed_s=100.0)
    pace = Pace(clock, wait_in_simulated_time(clock))
    due_s = []
    for time_s in (7.0, 7.5, 9.0):
        pace.wait_for(time_s, GO)
        due_s.append(clock.elapsed_s)
    assert due_s == [100.0, 100.5, 102.0]


def test_a_late_picture_comes_at_once_and_the_next_ones_catch_up() -> None:
    clock = FakeClock()
    pace = Pace(clock, wait_in_simulated_time(clock))
    pace.wait_for(0.0, GO)
    clock.advance(5.0)  # somebody was slow
    due_s = []
    for time_s in (1.0, 4.0, 6.0):
        pace.wait_for(time_s, GO)
        due_s.append(clock.elapsed_s)
    assert due_s == [5.0, 5.0, 6.0]


@pytest.mark.parametrize("time_s", [-1e6, 1e6], ids=["earlier programme", "later programme"])
def test_after_a_break_it_begins_anew(time_s: float) -> None:
    clock = FakeClock()
    pace = Pace(clock, wait_in_simulated_time(clock), resync_s=30.0)
    pace.wait_for(0.0, GO)
    pace.wait_for(time_s, GO)
    assert clock.elapsed_s == 0.0
    pace.wait_for(time_s + 2.0, GO)
    assert clock.elapsed_s == pytest.approx(2.0)


def test_nothing_adds_up_over_days() -> None:
    clock = FakeClock()
    pace = Pace(clock, wait_in_simulated_time(clock))
    for index in range(200_000):
        pace.wait_for(index / 25, GO)
    assert clock.elapsed_s == pytest.approx(199_999 / 25, abs=1e-9)
