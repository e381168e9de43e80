"""The steps of Frigate's motion detector ("improved motion", 100 pixels high), written anew to be timed beside ours.

Taken from its documentation and source as facts, not as code: nearest-neighbour picture of 100 rows; brightness
stretched between the 4th and 96th percentile, averaged over 50 frames; a Gaussian of 3x3; difference from a running
average; threshold 30; dilated once; outlines of more than 10 pixels. The average follows frames without motion at once,
others after ten in a row.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from edge_autotuner.core import Frame
from edge_autotuner.core.types import ImageArray

_HEIGHT_PX, _THRESHOLD, _MIN_AREA_PX = 100, 30, 10.0
_N_CONTRASTS, _PERCENTILES = 50, (4, 96)
_ALPHA, _ALPHA_CALIBRATING = 0.01, 0.2
_CALIBRATED_FRACTION, _UPSET_FRACTION, _N_CALM = 0.05, 0.8, 4
_N_LASTING = 10


class FrigateChain:
    """Finds the boxes of what moves, working pixels."""

    def __init__(self) -> None:
        self._average: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None
        self._contrasts: deque[tuple[int, int]] = deque([(0, 255)] * _N_CONTRASTS, maxlen=_N_CONTRASTS)
        self._is_calibrating = True
        self._n_moving = 0

    def look(self, frame: Frame) -> list[tuple[int, ...]]:
        """Compare the frame with the average, then follow it."""
        small = self._smoothed(frame.luma)
        if self._average is None:
            self._average = np.zeros(small.shape, np.float32)
        difference = cv2.absdiff(small, cv2.convertScaleAbs(self._average))
        changed = cv2.dilate(cv2.threshold(difference, _THRESHOLD, 255, cv2.THRESH_BINARY)[1], None)
        outlines, _ = cv2.findContours(changed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        areas = [cv2.contourArea(outline) for outline in outlines]
        boxes = [tuple(cv2.boundingRect(one)) for one, area in zip(outlines, areas, strict=True) if area > _MIN_AREA_PX]
        self._calibrate(sum(areas) / small.size, len(boxes))
        self._follow(small, has_motion=bool(boxes))
        return boxes

    def _smoothed(self, luma: ImageArray) -> ImageArray:
        from scipy.ndimage import gaussian_filter  # only this benchmark needs it

        size_wh = round(_HEIGHT_PX * luma.shape[1] / luma.shape[0]), _HEIGHT_PX
        small = np.asarray(cv2.resize(luma, size_wh, interpolation=cv2.INTER_NEAREST), np.uint8)
        low, high = (int(np.percentile(small, rank)) for rank in _PERCENTILES)
        if low < high:
            self._contrasts.append((low, high))
            darkest, brightest = np.mean(self._contrasts, axis=0)
            clipped = np.clip(small, darkest, brightest)
            small = ((clipped - darkest) / (brightest - darkest) * 255).astype(np.uint8)
        return np.asarray(gaussian_filter(small, sigma=1, radius=1), np.uint8)

    def _calibrate(self, moving_fraction: float, n_boxes: int) -> None:
        if moving_fraction < _CALIBRATED_FRACTION and n_boxes <= _N_CALM:
            self._is_calibrating = False
        if moving_fraction > _UPSET_FRACTION:
            self._is_calibrating = True

    def _follow(self, small: ImageArray, *, has_motion: bool) -> None:
        self._n_moving = self._n_moving + 1 if has_motion else 0
        if not has_motion or self._n_moving >= _N_LASTING:
            assert self._average is not None, "look has made it"
            cv2.accumulateWeighted(small, self._average, _ALPHA_CALIBRATING if self._is_calibrating else _ALPHA)
