"""Which colours an object shows: what tells two people apart who have crossed."""

from __future__ import annotations

import cv2
import numpy as np

from edge_autotuner.core.types import FloatArray, ImageArray

N_VALUES = 128
"""Length of a description: two halves of 4 x 4 x 4 colours."""

_HALVES = ((0.1, 0.5), (0.5, 0.9))  # of a person: shirt and trousers
_SIDE = 0.2  # of the width, left out on both sides, where the background is
_BINS, _RANGES = [4, 4, 4], [0, 256] * 3


def colours_of(image_bgr: ImageArray, boxes_xyxy: FloatArray) -> FloatArray:
    """Return the (N, 128) float32 colours in (N, 4) boxes, pixels of the image.

    A row is the root of the histogram of each half, scaled so that the product of two rows is the mean Bhattacharyya
    coefficient of the halves: 1 for the same colours, 0 for none in common. A half outside of the image is 0.
    """
    rows = [[_histogram(image_bgr, box, half) for half in _HALVES] for box in boxes_xyxy.tolist()]
    return np.sqrt(np.array(rows, np.float32).reshape(-1, N_VALUES) / len(_HALVES))


def _histogram(image_bgr: ImageArray, box: list[float], half: tuple[float, float]) -> FloatArray:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    columns = _whole(left + _SIDE * width, right - _SIDE * width, image_bgr.shape[1])
    rows = _whole(top + half[0] * height, top + half[1] * height, image_bgr.shape[0])
    seen = image_bgr[rows, columns]
    if seen.size == 0:
        return np.zeros(N_VALUES // len(_HALVES), np.float32)
    counts = cv2.calcHist([seen], [0, 1, 2], None, _BINS, _RANGES).ravel()
    return np.asarray(counts / counts.sum(), np.float32)


def _whole(low: float, high: float, limit: int) -> slice:
    """Return the pixels that a span touches, inside of 0..limit."""
    return slice(int(min(max(low, 0), limit)), int(min(max(high + 1, 0), limit)))
