"""Empty frames: negatives that teach a student what is not an object."""

from __future__ import annotations

import math

import cv2
import numpy as np

from edge_autotuner.core import MotionResult
from edge_autotuner.core.types import ImageArray

_QUIET_S = 1.0
"""A frame counts as empty this long after the last motion: a gate that misses a single frame is not an empty scene."""

_SAME_SCENE_S = 60.0
"""A negative less than this after another must look different; daylight and weather change over minutes."""

_NOTICEABLE_FRACTION = 0.01
"""Share of the picture that must differ for that."""

_ROUNDING_S = 1e-6


class EmptyQuota:
    """Lets few frames without motion pass, spread over the whole part.

    Args:
        fraction: at no time are more than this share of the selected frames negatives.
        max_images: how many frames may be selected altogether.
        span_s: length of the part, seconds; the negatives are at least this long apart, divided by their
            largest possible number.
        threshold: difference of blurred brightness that counts as a change, grey levels.

    Attributes:
        n_taken: negatives so far.
    """

    def __init__(self, *, fraction: float, max_images: int, span_s: float, threshold: int) -> None:
        max_negatives = math.floor(fraction * max_images + 1e-9)
        self._fraction = fraction
        self._gap_s = span_s / max_negatives if max_negatives else None
        self._threshold = threshold
        self._busy_s: float | None = None
        self._next_s = math.inf
        self._last_s = -math.inf
        self._last_luma: ImageArray | None = None
        self.n_taken = 0

    def see(self, motion: MotionResult, time_s: float) -> None:
        """Follow when the scene was last not empty, or not known to be; every frame must be shown, in order."""
        if self._gap_s is None:
            return
        if self._busy_s is None:
            self._next_s = time_s + self._gap_s / 2
        if self._busy_s is None or motion.has_motion or not motion.background_known:
            self._busy_s = time_s

    def wants(self, motion: MotionResult, time_s: float, *, n_selected: int) -> bool:
        """Whether a frame without motion should become a negative; call `see` with the frame first.

        Args:
            motion: what the gate saw.
            time_s: of the frame.
            n_selected: frames selected so far, negatives included.
        """
        if self._gap_s is None or self._busy_s is None or time_s < self._next_s - _ROUNDING_S:
            return False
        if self.n_taken + 1 > self._fraction * (n_selected + 1) or time_s - self._busy_s < _QUIET_S - _ROUNDING_S:
            return False
        return time_s - self._last_s >= _SAME_SCENE_S or self._looks_different(motion.blurred_luma)

    def take(self, motion: MotionResult, time_s: float) -> None:
        """Count a negative."""
        assert self._gap_s is not None, "wants() said no"
        self.n_taken += 1
        self._last_s, self._next_s = time_s, time_s + self._gap_s
        self._last_luma = motion.blurred_luma.copy()

    def _looks_different(self, luma: ImageArray) -> bool:
        if self._last_luma is None or self._last_luma.shape != luma.shape:
            return True
        n_changed = np.count_nonzero(cv2.absdiff(luma, self._last_luma) >= self._threshold)
        return bool(n_changed >= _NOTICEABLE_FRACTION * luma.size)
