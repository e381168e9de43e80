"""Waits that end early when somebody asks, and that tests need not sit through."""

from __future__ import annotations

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
