"""A picture made small enough to be compared with others in no time: the brightness of cells, and their structure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from edge_autotuner.core.types import FloatArray, ImageArray

_MAX_CELLS_ACROSS = 160  # pictures are halved until they are narrower: cells of 4 pixels at a width of 480
_MIN_CELLS_DOWN = 16
_STRUCTURE_CELLS = 7  # side of the neighbourhood in which contrast is evened out
_FLAT_LEVELS = 2.0  # contrast far below this is noise, far above it is structure


class SceneView:
    """One picture as cells.

    Args:
        luma: (H, W) uint8; not kept and not changed.
    """

    def __init__(self, luma: ImageArray) -> None:
        cells = luma
        self.cell_px = 1
        while cells.shape[1] >= _MAX_CELLS_ACROSS and cells.shape[0] >= 2 * _MIN_CELLS_DOWN:
            height, width = cells.shape[0] // 2, cells.shape[1] // 2
            even = cells[: 2 * height, : 2 * width]  # halves exactly, for which OpenCV has a fast path
            cells = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
            self.cell_px *= 2
        self.cells = luma.copy() if cells is luma else cells  # (h, w)

    @cached_property
    def structure(self) -> FloatArray:
        """(h, w) edges and texture, free of brightness and contrast, fading out towards the border.

        A cell's difference from the mean of its neighbourhood, divided by the usual difference there: about -1..1
        where there is structure and close to 0 where there is none.
        """
        side = (_STRUCTURE_CELLS, _STRUCTURE_CELLS)
        cells = self.cells.astype(np.float32)
        detail = cells - cv2.blur(cells, side)
        contrast = np.sqrt(cv2.blur(detail * detail, side))
        return np.asarray(detail / (contrast + _FLAT_LEVELS) * _fading_window(cells.shape), np.float32)

    @cached_property
    def structure_energy(self) -> float:
        """About the share of the picture that has structure, 0..1."""
        return self.structure_norm**2 / float(np.square(_fading_window(self.cells.shape)).sum())

    @cached_property
    def structure_norm(self) -> float:
        """Root of the sum of squares of the structure; never 0."""
        return max(float(np.sqrt(np.square(self.structure).sum())), 1e-3)

    @cached_property
    def _spectrum(self) -> FloatArray:
        """The packed Fourier transform of the structure, zero padded to a size that is fast."""
        height, width = self.structure.shape
        bottom, right = cv2.getOptimalDFTSize(height) - height, cv2.getOptimalDFTSize(width) - width
        padded = cv2.copyMakeBorder(self.structure, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=0)
        return np.asarray(cv2.dft(padded), np.float32)

    def correlation_map(self, other: SceneView) -> FloatArray:
        """Return how well the other picture's structure matches this one's at every shift (circular), -1..1."""
        product = cv2.mulSpectrums(other._spectrum, self._spectrum, 0, conjB=True)
        correlation = np.asarray(cv2.idft(product, flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT), np.float32)
        return correlation / np.float32(self.structure_norm * other.structure_norm)


@lru_cache(maxsize=16)
def _fading_window(shape: tuple[int, int]) -> FloatArray:
    down, across = (np.hanning(n + 2)[1:-1] for n in shape)
    return np.outer(down, across).astype(np.float32)


def changed_fraction(a: SceneView, b: SceneView, min_change: int) -> float:
    """Return the share of cells, 0..1, whose brightness differs by more than `min_change` levels."""
    changed = cv2.threshold(cv2.absdiff(a.cells, b.cells), min_change, 255, cv2.THRESH_BINARY)[1]
    return float(cv2.countNonZero(changed) / changed.size)


def mean_difference(a: SceneView, b: SceneView) -> float:
    """Return the mean absolute difference of brightness, grey levels."""
    return float(cv2.absdiff(a.cells, b.cells).mean())


def structure_match(a: SceneView, b: SceneView) -> float:
    """Return the correlation of the structures of two pictures, -1 (negative) .. 1 (the same)."""
    return float((a.structure * b.structure).sum()) / (a.structure_norm * b.structure_norm)


@dataclass(frozen=True)
class Shift:
    """The shift at which two pictures match best.

    Attributes:
        x_px, y_px: how far the content moved to the right and down, pixels of the picture.
        n_cells: length of the shift.
        match: correlation of the structures at this shift, -1..1.
        gain: how much better that is than without a shift.
    """

    x_px: float
    y_px: float
    n_cells: float
    match: float
    gain: float


def find_shift(old: SceneView, new: SceneView) -> Shift:
    """Return the shift, up to a quarter of the picture each way, from the old picture to the new one."""
    correlation = old.correlation_map(new)
    reach_y, reach_x = old.cells.shape[0] // 4, old.cells.shape[1] // 4
    rows, columns = np.arange(-reach_y, reach_y + 1), np.arange(-reach_x, reach_x + 1)
    near = correlation[rows[:, None], columns]  # shifts up and to the left are at the end of the map
    row, column = (int(i) for i in np.unravel_index(int(near.argmax()), near.shape))
    y = int(rows[row]) + _offset_of_peak(near[:, column], row)
    x = int(columns[column]) + _offset_of_peak(near[row], column)
    match = float(near[row, column])
    gain = match - float(correlation[0, 0])
    return Shift(x * old.cell_px, y * old.cell_px, float(np.hypot(x, y)), match, gain)


def _offset_of_peak(values: FloatArray, peak: int) -> float:
    """Return where the parabola through the largest value and its neighbours peaks, -0.5..0.5 from the largest."""
    if not 0 < peak < len(values) - 1:
        return 0.0
    before, largest, after = (float(value) for value in values[peak - 1 : peak + 2])
    curvature = before - 2 * largest + after
    return 0.5 * (before - after) / curvature if curvature < 0 else 0.0
