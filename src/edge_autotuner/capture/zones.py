"""Places of the picture in which nothing counts."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge_autotuner.core.types import BoolArray, SizeWH

Polygon = Sequence[tuple[float, float]]
"""Corners as shares of the picture's width and height, 0..1."""


def watched_pixels(size_wh: SizeWH, *, ignore: Sequence[Polygon], watch: Sequence[Polygon]) -> BoolArray:
    """Return (h, w) bool: whether a change of the pixel counts.

    It does inside a polygon to watch, or anywhere if there is none, unless it lies in a polygon to ignore. Pixels on
    the outline of a polygon belong to it.
    """
    watched = np.full((size_wh[1], size_wh[0]), not watch, np.uint8)
    for polygon in watch:
        cv2.fillPoly(watched, [_corners(polygon, size_wh)], 1)
    for polygon in ignore:
        cv2.fillPoly(watched, [_corners(polygon, size_wh)], 0)
    return watched.view(np.bool_)


def _corners(polygon: Polygon, size_wh: SizeWH) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    last_pixel = np.array(size_wh) - 1
    return np.asarray(np.rint(np.array(polygon) * last_pixel), np.int32)
