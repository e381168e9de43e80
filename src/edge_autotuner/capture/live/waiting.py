"""Waits that a stop event ends early, and that simulated time skips."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from edge_autotuner.core import Clock, FakeClock

Wait = Callable[[float, threading.Event], None]
"""Takes seconds and a stop event; returns after that time, or as soon as the event is set."""


def wait_by(clock: Clock) -> Wait:
    """Return the wait that fits a clock: one that only moves when told to is moved on."""
    return wait_in_simulated_time(clock) if isinstance(clock, FakeClock) else wait_in_real_time


def wait_in_real_time(seconds: float, stop: threading.Event) -> None:
    """Wait by the machine's clock."""
    stop.wait(max(0.0, seconds))


def wait_in_simulated_time(clock: FakeClock) -> Wait:
    """Return a wait that moves a clock on instead of taking time."""

    def wait(seconds: float, stop: threading.Event) -> None:
        if not stop.is_set():
            clock.advance(max(0.0, seconds))

    return wait


class Pace:
    """Delays pictures until they are due by the times that they carry; the first is due at once.

    All times are compared with the same start, so that rounding does not add up.
    """

    def __init__(self, clock: Clock, wait: Wait, *, resync_s: float = math.inf) -> None:
        """Start with the next picture, and again with one that is early or late by more than `resync_s` seconds."""
        self._clock = clock
        self._wait = wait
        self._resync_s = resync_s
        self._start_s: float | None = None

    def wait_for(self, time_s: float, stop: threading.Event) -> None:
        """Wait until a picture is due; a late one is due at once."""
        now_s = self._clock.monotonic_s()
        if self._start_s is None or abs(self._start_s + time_s - now_s) > self._resync_s:
            self._start_s = now_s - time_s
        early_s = self._start_s + time_s - now_s
        if early_s > 0:
            self._wait(early_s, stop)
