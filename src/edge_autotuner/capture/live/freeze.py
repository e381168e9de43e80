"""Detects a camera that keeps sending the same picture.

A sensor is never without noise: pictures that are equal to the last bit come from a camera or relay that hangs.
"""

from __future__ import annotations

import numpy as np

from edge_autotuner.core.types import ImageArray

_ROW_STEP = 16  # every picture is compared in one row of 16, each time in others: 0.1 ms for 1920x1080
_LONGEST_PATIENCE_S = 3600.0


class FreezeWatch:
    """Compares each picture with the first of those that were the same.

    What is still frozen after a new connection may be a still picture by intent (a test card, a privacy mask):
    the patience doubles each time, up to an hour, until something changes.
    """

    def __init__(self, patience_s: float | None) -> None:
        """Begin without a picture; one may stay the same for `patience_s` seconds, or without limit for None."""
        self._first_patience_s = patience_s
        self._patience_s = patience_s
        self._still: ImageArray | None = None
        self._still_since_s = 0.0
        self._n_seen = 0

    def see(self, luma: ImageArray, now_s: float) -> float | None:
        """Look at the next picture.

        Args:
            luma: (H, W) uint8; it is kept until a picture differs from it.
            now_s: monotonic time, seconds.

        Returns:
            For how many seconds nothing has changed, when that is too long; the count then begins anew. Else None.
        """
        if self._patience_s is None:
            return None
        self._n_seen += 1
        if not self._is_still(luma):
            self._still, self._still_since_s = luma, now_s
            self._patience_s = self._first_patience_s
            return None
        still_s = now_s - self._still_since_s
        if still_s < self._patience_s:
            return None
        self._still_since_s = now_s
        self._patience_s = min(2 * self._patience_s, max(self._patience_s, _LONGEST_PATIENCE_S))
        return still_s

    def pause(self, now_s: float) -> None:
        """Say that the camera was away: the time without pictures does not count."""
        self._still_since_s = now_s

    def _is_still(self, luma: ImageArray) -> bool:
        if self._still is None or self._still.shape != luma.shape:
            return False
        first_row = self._n_seen % _ROW_STEP
        return np.array_equal(self._still[first_row::_ROW_STEP], luma[first_row::_ROW_STEP])
