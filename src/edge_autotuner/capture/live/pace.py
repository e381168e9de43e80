"""Gives out pictures when it is time for them, and not when they happen to be there."""

from __future__ import annotations

import math
import threading

from edge_autotuner.capture.live.waiting import Wait
from edge_autotuner.core import Clock


class Pace:
    """Maps the times that pictures carry to the clock; the first picture is due at once.

    Times are compared with the same start for as long as it goes on, so that nothing adds up.
    """

    def __init__(self, clock: Clock, wait: Wait, *, resync_s: float = math.inf) -> None:
        """Begin with the next picture.

        Args:
            clock: where time comes from.
            wait: how to wait.
            resync_s: begin anew with a picture that is early or late by more than this, seconds.
        """
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
