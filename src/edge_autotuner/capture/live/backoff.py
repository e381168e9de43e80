"""How long to wait before a camera is tried again."""

from __future__ import annotations

import numpy as np

from edge_autotuner.config import StreamConfig

_SMALLEST_SHARE = 0.75  # of the longest wait; many cameras behind one switch shall not all be tried at once


class Backoff:
    """Waits that double from `first_retry_s` to `longest_retry_s`, each shortened by a random part."""

    def __init__(self, config: StreamConfig, rng: np.random.Generator) -> None:
        self._first_s = config.first_retry_s
        self._longest_s = max(config.first_retry_s, config.longest_retry_s)
        self._rng = rng
        self._limit_s = self._first_s

    @property
    def limit_s(self) -> float:
        """The next wait is not longer than this, seconds."""
        return min(self._limit_s, self._longest_s)

    def next_wait_s(self) -> float:
        """Return the seconds to wait now; the next wait will be up to twice as long."""
        wait_s = self.limit_s * float(self._rng.uniform(_SMALLEST_SHARE, 1.0))
        self._limit_s = self.limit_s * 2
        return wait_s

    def reset(self) -> None:
        """Begin with the shortest wait again."""
        self._limit_s = self._first_s
