"""Background flicker at each place in the picture: leaves in the wind, water, a noisy sensor."""

from __future__ import annotations

import cv2
import numpy as np

from edge_autotuner.core.types import FloatArray, ImageArray, IntArray, SizeWH

_CELL_PX = 12
_EVERY_S = 0.2
_ROUNDING_S = 1e-3  # of time stamps: five frames at 25 frames/s may last 0.1999 s
_MAX_GAP_S = 0.5  # pictures that are further apart show other objects, which look like flicker
_QUANTILE = 0.1
_STEP_LEVELS = 0.25

_NEIGHBOURS = np.ones((3, 3), np.uint8)


class NoiseEstimate:
    """Learns, for cells of 12 x 12 working pixels, the flicker that the place never loses.

    The difficulty is a busy road, which changes as often as a tree does and must not become blind. Three things tell
    them apart. Flicker is what differs both from the background and from the frame 0.2 s before: a car that stands is
    none. Of these differences only what cancels out within the cell counts: something that is darker than the road as
    a whole is an object, leaves in front of each other are as often brighter as darker. And of the values over time the
    estimate is the lowest tenth: between two cars there is a gap, while wind and sensor noise go on.

    The first minute teaches most of it: the estimate rises by 0.125 grey levels a second at most, and falls nine times
    as fast.

    Args:
        size_wh: of the pictures, working pixels.
    """

    def __init__(self, size_wh: SizeWH) -> None:
        self._size_wh = size_wh
        self._columns, self._rows = _cell_edges(size_wh[0]), _cell_edges(size_wh[1])
        self._n_pixels = np.diff(self._rows)[:, None] * np.diff(self._columns)  # (rows, columns) of cells
        self._levels: FloatArray = np.zeros(self._n_pixels.shape, np.float32)
        self._last: tuple[float, ImageArray, FloatArray] | None = None  # time, picture, its cell means

    @property
    def levels(self) -> FloatArray:
        """(rows, columns) of cells: the mean flicker of a pixel, grey levels."""
        return self._levels

    def is_due(self, time_s: float) -> bool:
        """Whether a frame of this time is to be learnt from; after a jump backwards it is."""
        return self._last is None or not 0 <= time_s - self._last[0] < _EVERY_S - _ROUNDING_S

    def learn(self, luma: ImageArray, background: ImageArray, time_s: float) -> None:
        """Follow the flicker of one frame.

        Args:
            luma: (h, w) uint8, blurred; kept until the next call, so it must not change.
            background: (h, w) uint8, equally blurred.
            time_s: of the frame. When the last one is more than half a second away, nothing is learnt.
        """
        last, self._last = self._last, (time_s, luma, self._cell_means(luma))
        if last is None or not 0 < time_s - last[0] <= _MAX_GAP_S:
            return
        means = self._last[2]
        flicker = np.minimum(
            self._cell_means(cv2.absdiff(luma, background)) - np.abs(means - self._cell_means(background)),
            self._cell_means(cv2.absdiff(luma, last[1])) - np.abs(means - last[2]),
        )
        step = np.where(flicker > self._levels, _QUANTILE, _QUANTILE - 1) * _STEP_LEVELS
        self._levels = np.maximum(self._levels + step, 0).astype(np.float32)

    def limits(self, factor: float) -> ImageArray:
        """Return (h, w) uint8: `factor` times the flicker of the cell or of a neighbour, whichever is larger."""
        levels = cv2.dilate(self._levels, _NEIGHBOURS)
        limits = np.minimum(levels * factor, 255).astype(np.uint8)
        return np.asarray(cv2.resize(limits, self._size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)

    def _cell_means(self, picture: ImageArray) -> FloatArray:
        sums = cv2.integral(picture)[self._rows[:, None], self._columns]
        return np.asarray(np.diff(np.diff(sums, axis=0), axis=1) / self._n_pixels, np.float32)


def _cell_edges(length_px: int) -> IntArray:
    n_cells = max(1, round(length_px / _CELL_PX))
    return np.rint(np.linspace(0, length_px, n_cells + 1)).astype(np.int64)
