"""Which changes last: an object is there in the next frame too, a blip of noise is not."""

from __future__ import annotations

import numpy as np

from edge_autotuner.core.types import BoolArray, FloatArray, IntArray

_MAX_GAP_S = 0.5  # in a longer time anything can come and go
_LENGTHS_PER_S = 7.0  # the fastest that is followed: a car of 4.3 m at 30 m/s (108 km/h)


class Persistence:
    """Follows changed areas from frame to frame.

    An area continues what was in its reach in the frame before: its box, widened by what an object of its size moves in
    the time between. When frames are more than half a second apart, all areas count at once.

    Args:
        n_frames: in how many frames in a row a change must be seen; 1: every change counts.
        slack_px: widens the reach of every area, working pixels.
    """

    def __init__(self, n_frames: int, *, slack_px: float) -> None:
        self._n_frames = n_frames
        self._slack_px = slack_px
        self._last: tuple[float, FloatArray, IntArray] | None = None  # time, boxes, frames in which they were seen

    def confirm(self, areas_xyxy: FloatArray, time_s: float) -> BoolArray:
        """Return (A,): which areas of the next frame count.

        Args:
            areas_xyxy: (A, 4) working pixels.
            time_s: of the frame; a jump backwards is a gap.
        """
        n_seen = self._count(areas_xyxy, time_s)
        self._last = time_s, areas_xyxy, n_seen
        return n_seen >= self._n_frames

    def forget(self) -> None:
        """Let all areas of the next frame count."""
        self._last = None

    def _count(self, areas_xyxy: FloatArray, time_s: float) -> IntArray:
        if self._last is None or not 0 <= time_s - self._last[0] <= _MAX_GAP_S:
            return np.full(len(areas_xyxy), self._n_frames, np.int64)
        last_s, last_xyxy, last_n = self._last
        if len(areas_xyxy) == 0 or len(last_xyxy) == 0:
            return np.ones(len(areas_xyxy), np.int64)
        longest = (areas_xyxy[:, 2:] - areas_xyxy[:, :2]).max(axis=1)
        reach = (longest * _LENGTHS_PER_S * (time_s - last_s) + self._slack_px)[:, None]
        is_near = (areas_xyxy[:, None, :2] - reach[:, None] <= last_xyxy[:, 2:]).all(axis=-1)
        is_near &= (areas_xyxy[:, None, 2:] + reach[:, None] >= last_xyxy[:, :2]).all(axis=-1)  # (A, last A)
        n_before = np.where(is_near, last_n, 0).max(axis=1)
        return np.asarray(np.minimum(n_before + 1, self._n_frames), np.int64)
