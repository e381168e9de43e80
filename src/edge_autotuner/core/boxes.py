"""Box geometry: the only IoU of the package.

Boxes are corners x1, y1, x2, y2 in pixels unless a name says otherwise; x2 and y2 are exclusive, so that
width = x2 - x1.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from edge_autotuner.core.types import FloatArray, SizeWH


def as_boxes(boxes_xyxy: object) -> FloatArray:
    """Return the boxes as a (N, 4) float32 array; an empty sequence becomes (0, 4).

    Raises:
        ValueError: the shape is not (N, 4).
    """
    boxes = np.asarray(boxes_xyxy, dtype=np.float32)
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes_xyxy must have shape (N, 4), got {boxes.shape}")
    return boxes


def box_areas(boxes_xyxy: FloatArray) -> FloatArray:
    """Return the (N,) areas; a box turned inside out has area 0."""
    widths = np.clip(boxes_xyxy[:, 2] - boxes_xyxy[:, 0], 0, None)
    heights = np.clip(boxes_xyxy[:, 3] - boxes_xyxy[:, 1], 0, None)
    return np.asarray(widths * heights, dtype=np.float32)


def box_sizes(boxes_xyxy: FloatArray) -> FloatArray:
    """Return the (N,) sizes: the roots of the areas, in the unit of the corners."""
    return np.asarray(np.sqrt(box_areas(boxes_xyxy)), dtype=np.float32)


def intersection_matrix(a_xyxy: FloatArray, b_xyxy: FloatArray) -> FloatArray:
    """Return the (A, B) areas that each pair of boxes shares."""
    top_left = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])  # (A, B, 2)
    bottom_right = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    sides = np.clip(bottom_right - top_left, 0, None)
    return np.asarray(sides[..., 0] * sides[..., 1], dtype=np.float32)


def iou_matrix(a_xyxy: FloatArray, b_xyxy: FloatArray) -> FloatArray:
    """Return the (A, B) intersection over union; 0 where both boxes are empty."""
    inter = intersection_matrix(a_xyxy, b_xyxy)
    union = box_areas(a_xyxy)[:, None] + box_areas(b_xyxy)[None, :] - inter
    return np.asarray(np.divide(inter, union, out=np.zeros_like(inter), where=union > 0), dtype=np.float32)


def covered_fraction(a_xyxy: FloatArray, b_xyxy: FloatArray) -> FloatArray:
    """Return (A, B): the share, in [0, 1], of each box of `a` that lies inside each box of `b`."""
    inter = intersection_matrix(a_xyxy, b_xyxy)
    areas = np.broadcast_to(box_areas(a_xyxy)[:, None], inter.shape)
    return np.divide(inter, areas, out=np.zeros_like(inter), where=areas > 0)


def covered_together(boxes_xyxy: FloatArray, rectangles_xyxy: FloatArray) -> FloatArray:
    """Return (N,): the share, in [0, 1], of each box that (R, 4) rectangles cover together, overlaps counted once."""
    left = [box_areas(subtract_boxes(box, rectangles_xyxy)).sum() for box in boxes_xyxy]
    areas = box_areas(boxes_xyxy)
    shares = 1 - np.divide(np.array(left, np.float32), areas, out=np.ones_like(areas), where=areas > 0)
    return np.asarray(np.clip(shares, 0, 1), np.float32)


def subtract_boxes(box_xyxy: FloatArray, holes_xyxy: FloatArray) -> FloatArray:
    """Return (R, 4) rectangles that together cover a (4,) box without its (H, 4) holes.

    Holes may overlap each other and reach outside. The rectangles run from top to bottom and from left to right; no two
    overlap, none is empty.
    """
    whole = as_boxes(np.asarray(box_xyxy, np.float32)[None])
    holes = as_boxes(holes_xyxy)
    holes = np.concatenate([np.maximum(holes[:, :2], whole[0, :2]), np.minimum(holes[:, 2:], whole[0, 2:])], axis=1)
    holes = holes[(holes[:, 2:] > holes[:, :2]).all(axis=1)]
    ys = np.unique(np.concatenate([whole[:, [1, 3]].ravel(), holes[:, [1, 3]].ravel()]))
    rectangles: list[tuple[float, float, float, float]] = []
    for y1, y2 in pairwise(ys.tolist()):
        left = float(whole[0, 0])
        for x1, x2 in sorted(holes[(holes[:, 1] <= y1) & (holes[:, 3] >= y2)][:, [0, 2]].tolist()):
            if x1 > left:
                rectangles.append((left, y1, x1, y2))
            left = max(left, x2)
        if left < whole[0, 2]:
            rectangles.append((left, y1, float(whole[0, 2]), y2))
    return as_boxes(np.array(rectangles, np.float32))


def clip_boxes(boxes_xyxy: FloatArray, *, size_wh: SizeWH) -> FloatArray:
    """Return the boxes cut to a picture of `size_wh` pixels; a box outside it keeps area 0."""
    width, height = size_wh
    limits = np.array([width, height, width, height], dtype=np.float32)
    return np.asarray(np.clip(boxes_xyxy, 0, limits), dtype=np.float32)


def scale_boxes(boxes_xyxy: FloatArray, *, from_size_wh: SizeWH, to_size_wh: SizeWH) -> FloatArray:
    """Return the boxes of a picture that is stretched from one size to another."""
    sx, sy = to_size_wh[0] / from_size_wh[0], to_size_wh[1] / from_size_wh[1]
    return np.asarray(boxes_xyxy * np.array([sx, sy, sx, sy], dtype=np.float32), dtype=np.float32)


def xyxy_to_xywh(boxes_xyxy: FloatArray) -> FloatArray:
    """Turn corners into (x, y, width, height), the form of COCO files."""
    boxes = as_boxes(boxes_xyxy)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1, dtype=np.float32)


def xywh_to_xyxy(boxes_xywh: FloatArray) -> FloatArray:
    """Turn (x, y, width, height) into corners."""
    boxes = as_boxes(boxes_xywh)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1, dtype=np.float32)
