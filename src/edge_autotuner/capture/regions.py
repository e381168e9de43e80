"""Motion regions: rectangles in frame pixels, grown to a useful size and joined where they touch."""

from __future__ import annotations

import numpy as np

from edge_autotuner.core.boxes import as_boxes, clip_boxes
from edge_autotuner.core.types import BoolArray, FloatArray, SizeWH


def grow_regions(regions_xyxy: FloatArray, *, margin_fraction: float, min_px: float, size_wh: SizeWH) -> FloatArray:
    """Add a margin on each side, widen to a minimum size, and keep inside the frame.

    Args:
        regions_xyxy: (R, 4) frame pixels.
        margin_fraction: margin per side, share of the region's own width and height.
        min_px: smallest width and height; a region at the border is moved inwards to reach it.
        size_wh: of the frame; a side is never longer than the frame's.

    Returns:
        (R, 4) float32 with whole numbers, each containing its input region clipped to the frame.
    """
    regions = as_boxes(regions_xyxy)
    limit = np.array(size_wh, np.float32)
    sides = regions[:, 2:] - regions[:, :2]
    wanted = np.minimum(np.maximum(sides * (1 + 2 * margin_fraction), min_px), limit)  # (R, 2)
    top_left = (regions[:, :2] + regions[:, 2:] - wanted) / 2
    top_left = np.clip(top_left, 0, limit - wanted)
    grown = np.concatenate([np.floor(top_left), np.ceil(top_left + wanted)], axis=1)
    return clip_boxes(np.asarray(grown, np.float32), size_wh=size_wh)


def merge_touching(regions_xyxy: FloatArray) -> FloatArray:
    """Replace regions that overlap or touch by their bounding box until none do.

    Returns:
        (Q, 4), Q <= R, sorted from left to right, whatever the order of the input.
    """
    regions = _sorted(as_boxes(regions_xyxy))
    while True:
        groups = _connected_groups(_touch_matrix(regions))
        if len(groups) == len(regions):
            return regions
        regions = _sorted(np.stack([_bounding_box(regions[group]) for group in groups]))


def merge_all(regions_xyxy: FloatArray) -> FloatArray:
    """Return the one bounding box of all regions, (1, 4); (0, 4) when there are none."""
    regions = as_boxes(regions_xyxy)
    return regions if len(regions) == 0 else _bounding_box(regions)[None]


def union_area(regions_xyxy: FloatArray) -> float:
    """Return the area that the regions cover together, counting shared parts once."""
    regions = as_boxes(regions_xyxy)
    if len(regions) == 0:
        return 0.0
    xs, ys = np.unique(regions[:, [0, 2]]), np.unique(regions[:, [1, 3]])
    is_covered = np.zeros((len(ys), len(xs)), bool)  # cell (i, j) reaches from ys[i], xs[j] to the next ones
    for x1, y1, x2, y2 in regions:
        is_covered[(ys >= y1) & (ys < y2), :] |= (xs >= x1) & (xs < x2)
    widths, heights = np.diff(xs, append=xs[-1]), np.diff(ys, append=ys[-1])
    return float(heights @ is_covered @ widths)


def _touch_matrix(regions_xyxy: FloatArray) -> BoolArray:
    a, b = regions_xyxy[:, None], regions_xyxy[None]
    return np.asarray(((a[..., :2] <= b[..., 2:]) & (b[..., :2] <= a[..., 2:])).all(axis=-1), bool)


def _connected_groups(touches: BoolArray) -> list[list[int]]:
    """Return the groups of indices that are linked directly or through others."""
    unseen = set(range(len(touches)))
    groups = []
    while unseen:
        group, frontier = [], [min(unseen)]
        unseen.remove(frontier[0])
        while frontier:
            index = frontier.pop()
            group.append(index)
            linked = [other for other in unseen if touches[index, other]]
            unseen.difference_update(linked)
            frontier += linked
        groups.append(group)
    return groups


def _bounding_box(regions_xyxy: FloatArray) -> FloatArray:
    return np.concatenate([regions_xyxy[:, :2].min(axis=0), regions_xyxy[:, 2:].max(axis=0)])


def _sorted(regions_xyxy: FloatArray) -> FloatArray:
    return np.asarray(regions_xyxy[np.lexsort(regions_xyxy.T[::-1])], np.float32)
