"""Makes areas of a picture unrecognizable. What is left of an area is a handful of mean colours, nothing finer."""

from __future__ import annotations

import cv2
import numpy as np

from edge_autotuner.core.boxes import as_boxes, clip_boxes
from edge_autotuner.core.types import FloatArray, ImageArray

CELLS_PER_OBJECT = 4
"""Mean colours along the longer side of a hidden object: a face or a number plate needs several times as many."""

CELLS_PER_FRAME = 24
"""Mean colours along the longer side of a frame whose outside is hidden."""


def hide_boxes_inplace_(image_bgr: ImageArray, boxes_xyxy: FloatArray) -> None:
    """Hide what (K, 4) boxes of a (H, W, 3) picture show, each box by itself; boxes may reach outside."""
    for x1, y1, x2, y2 in whole_pixels(boxes_xyxy, image_bgr):
        image_bgr[y1:y2, x1:x2] = mean_colours(image_bgr[y1:y2, x1:x2], CELLS_PER_OBJECT)


def hide_outside(image_bgr: ImageArray, shown_xyxy: FloatArray, background: ImageArray | None) -> ImageArray:
    """Return a (H, W, 3) picture that shows what it did only inside of (R, 4) rectangles.

    Args:
        image_bgr: not changed.
        shown_xyxy: whole pixels inside the picture; R = 0: everything is hidden.
        background: (h, w) brightness of the empty scene, which is shown elsewhere with blurred colours; None: the rest
            is blurred.
    """
    height, width = image_bgr.shape[:2]
    rest = mean_colours(image_bgr, CELLS_PER_FRAME)
    if background is not None:
        colours = cv2.cvtColor(rest, cv2.COLOR_BGR2YCrCb)
        colours[:, :, 0] = cv2.resize(background, (width, height), interpolation=cv2.INTER_LINEAR)
        rest = np.asarray(cv2.cvtColor(colours, cv2.COLOR_YCrCb2BGR), np.uint8)
    for x1, y1, x2, y2 in whole_pixels(shown_xyxy, image_bgr):
        rest[y1:y2, x1:x2] = image_bgr[y1:y2, x1:x2]
    return rest


def mean_colours(area_bgr: ImageArray, n_cells: int) -> ImageArray:
    """Return an area of the same size, drawn from the mean colours of `n_cells` cells along its longer side.

    The means are taken first, so that nothing finer can be computed back from the smooth picture drawn from them.
    """
    height, width = area_bgr.shape[:2]
    cell = max(height, width) / n_cells
    cells_wh = max(1, round(width / cell)), max(1, round(height / cell))
    means = cv2.resize(area_bgr, cells_wh, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(means, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def widened(boxes_xyxy: FloatArray, margin: float) -> FloatArray:
    """Return (K, 4) boxes that are larger on each side by `margin` times their width or height."""
    boxes = as_boxes(boxes_xyxy)
    extra = (boxes[:, 2:] - boxes[:, :2]) * np.float32(margin)
    return np.concatenate([boxes[:, :2] - extra, boxes[:, 2:] + extra], axis=1)


def whole_pixels(boxes_xyxy: FloatArray, image_bgr: ImageArray) -> list[tuple[int, int, int, int]]:
    """Return the pixels that boxes touch, as corners inside the picture; boxes outside of it are left out."""
    boxes = as_boxes(boxes_xyxy)
    outer = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1)
    clipped = clip_boxes(outer, size_wh=(image_bgr.shape[1], image_bgr.shape[0])).astype(int)
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in clipped.tolist() if x2 > x1 and y2 > y1]
