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
_EVERY_ROW = 2  # of a blurred picture, whose neighbouring rows hardly differ

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
        self._cells = _Cells((size_wh[0], -(-size_wh[1] // _EVERY_ROW)), cell_wh=(_CELL_PX, _CELL_PX / _EVERY_ROW))
        self._levels: FloatArray = np.zeros(self._cells.shape, np.float32)
        self._last: tuple[float, ImageArray, FloatArray] | None = None  # time, rows of the picture, its cell means
        self._background: tuple[ImageArray, FloatArray] | None = None  # the picture, its cell means

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
            background: (h, w) uint8, equally blurred. As long as it is the same array, it must not change.
            time_s: of the frame. When the last one is more than half a second away, nothing is learnt.
        """
        rows, last = luma[::_EVERY_ROW], self._last
        means = self._cells.means_of(rows)
        self._last = time_s, rows, means
        if last is None or not 0 < time_s - last[0] <= _MAX_GAP_S:
            return
        flicker = np.minimum(
            self._cells.means_of(cv2.absdiff(rows, background[::_EVERY_ROW]))
            - np.abs(means - self._means_of_background(background)),
            self._cells.means_of(cv2.absdiff(rows, last[1])) - np.abs(means - last[2]),
        )
        step = np.where(flicker > self._levels, _QUANTILE, _QUANTILE - 1) * _STEP_LEVELS
        self._levels = np.maximum(self._levels + step, 0).astype(np.float32)

    def limits(self, factor: float) -> ImageArray:
        """Return (h, w) uint8: `factor` times the flicker of the cell or of a neighbour, whichever is larger."""
        levels = cv2.dilate(self._levels, _NEIGHBOURS)
        limits = np.minimum(levels * factor, 255).astype(np.uint8)
        return np.asarray(cv2.resize(limits, self._size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)

    def _means_of_background(self, background: ImageArray) -> FloatArray:
        if self._background is None or self._background[0] is not background:
            self._background = background, self._cells.means_of(background[::_EVERY_ROW])
        return self._background[1]


class _Cells:
    """Divides pictures of one size into cells of about one size.

    Attributes:
        shape: rows and columns of cells.
    """

    def __init__(self, size_wh: SizeWH, *, cell_wh: tuple[float, float]) -> None:
        columns, rows = (_cell_edges(length, side) for length, side in zip(size_wh, cell_wh, strict=True))
        self._corners = rows[:, None] * (size_wh[0] + 1) + columns  # places in the table of sums, which has one more
        self._n_pixels = (np.diff(rows)[:, None] * np.diff(columns)).astype(np.float32)
        self.shape = self._n_pixels.shape

    def means_of(self, picture: ImageArray) -> FloatArray:
        """Return the mean of each cell, (rows, columns)."""
        sums = np.take(cv2.integral(picture), self._corners)  # (rows + 1, columns + 1)
        bands = sums[1:] - sums[:-1]
        return np.asarray((bands[:, 1:] - bands[:, :-1]) / self._n_pixels, np.float32)


def _cell_edges(length_px: int, side_px: float) -> IntArray:
    n_cells = max(1, round(length_px / side_px))
    return np.rint(np.linspace(0, length_px, n_cells + 1)).astype(np.int64)
