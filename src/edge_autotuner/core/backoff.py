"""Exponential backoff: how long to wait before something that failed is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable

UNEVEN = 0.25
"""Jitter for many clients behind one switch: enough that they do not all reconnect at once."""


class Backoff:
    """Waits that double from the first to the longest, in seconds.

    Args:
        first_s: limit of the first wait; 0: never wait.
        longest_s: limit of every later wait, and of the first.
        jitter: share of each wait that is drawn at random, 0..1; 1 draws from zero to the limit ("full jitter").
        draw: returns a random number between its two arguments, such as `random.Random(seed).uniform`.
    """

    def __init__(
        self,
        first_s: float,
        longest_s: float,
        *,
        jitter: float = 0.0,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first_s, self._longest_s, self._jitter, self._draw = first_s, longest_s, jitter, draw
        self.reset()

    @property
    def limit_s(self) -> float:
        """The next wait is not longer than this."""
        return min(self._limit_s, self._longest_s)

    def next_wait_s(self) -> float:
        """Return how long to wait now, and double the limit of the next wait."""
        limit_s = self.limit_s
        self._limit_s = 2 * limit_s
        return self._draw(limit_s * (1 - self._jitter), limit_s) if self._jitter else limit_s

    def reset(self) -> None:
        """Start again with the first wait, after a success."""
        self._limit_s = self._first_s
