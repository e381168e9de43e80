"""Which frames a background learns from: every k-th, because neighbouring frames show almost the same."""

from __future__ import annotations

MIN_SAMPLES = 3
"""With fewer samples a median cannot outvote a passing object."""


class EveryKth:
    """Counts frames and picks the first one and then every k-th.

    Args:
        k: distance of the picked frames, at least 1.
        n_at_once: so many frames at the start are picked without gaps.
    """

    def __init__(self, k: int, n_at_once: int = 1) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        self._k = k
        self._n_at_once = n_at_once
        self._n_seen = 0

    def count(self) -> bool:
        """Count one frame and return whether it is picked."""
        is_picked = self._n_seen < self._n_at_once or self._n_seen % self._k == 0
        self._n_seen += 1
        return is_picked

    def reset(self) -> None:
        """Make the next frame the first."""
        self._n_seen = 0
