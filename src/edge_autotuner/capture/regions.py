"""Motion regions: rectangles in frame pixels, grown to a useful size and joined where they touch."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from itertools import combinations, count, pairwise
from typing import NamedTuple

import numpy as np

from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.types import FloatArray, SizeWH

# A frame has a handful of regions, mostly one: plain Python is several times as fast as numpy on so few numbers.
_Box = tuple[float, float, float, float]


class _Joined(NamedTuple):
    """A region made of others.

    Attributes:
        box: x1, y1, x2, y2.
        parts_area: the areas of the regions that it is made of, added up.
    """

    box: _Box
    parts_area: float


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
    grown = [
        (left, top, right, bottom)
        for x1, y1, x2, y2 in _as_tuples(regions_xyxy)
        for left, right in (_grow(x1, x2, size_wh[0], margin_fraction, min_px),)
        for top, bottom in (_grow(y1, y2, size_wh[1], margin_fraction, min_px),)
    ]
    return as_boxes(grown)


def _grow(low: float, high: float, limit: int, margin_fraction: float, min_px: float) -> tuple[int, int]:
    """Return one side of a grown region, whole pixels."""
    wanted = min(max((high - low) * (1 + 2 * margin_fraction), min_px), limit)
    start = min(max((low + high - wanted) / 2, 0), limit - wanted)
    return math.floor(start), min(math.ceil(start + wanted), limit)


def join_touching(regions_xyxy: FloatArray, *, max_growth: float) -> FloatArray:
    """Replace regions that overlap or touch by their bounding box, where that is not much larger than they are.

    The pair that wastes least is joined first, until none is left. So the regions cover at most `max_growth` times the
    area of those that went in: a chain of cars does not become one box around the whole road.

    Args:
        regions_xyxy: (R, 4).
        max_growth: largest area of a joined region, as a multiple of the areas of the given regions in it, added up.

    Returns:
        (Q, 4), Q <= R, sorted from left to right, whatever the order of the input. Some may still overlap.
    """
    left = {number: _Joined(box, _area(box)) for number, box in enumerate(sorted(_as_tuples(regions_xyxy)))}
    growths = {(a, b): growth for a, b in combinations(left, 2) if (growth := _growth(left[a], left[b])) <= max_growth}
    new_numbers = count(len(left))
    while growths:
        pair = min(growths, key=lambda pair: (growths[pair], pair))
        joined, number = _join(*(left.pop(member) for member in pair)), next(new_numbers)
        growths = {other: growth for other, growth in growths.items() if not set(other) & set(pair)}
        growths |= {
            (a, number): growth for a, region in left.items() if (growth := _growth(region, joined)) <= max_growth
        }
        left[number] = joined
    return sort_regions(as_boxes([region.box for region in left.values()]))


def sort_regions(regions_xyxy: FloatArray) -> FloatArray:
    """Return the regions from left to right; equal left sides from top to bottom, and so on."""
    regions = as_boxes(regions_xyxy)
    return regions[np.lexsort(regions.T[::-1])]


def merge_all(regions_xyxy: FloatArray) -> FloatArray:
    """Return the one bounding box of all regions, (1, 4); (0, 4) when there are none."""
    regions = as_boxes(regions_xyxy)
    if len(regions) < 2:
        return regions
    return np.concatenate([regions[:, :2].min(axis=0), regions[:, 2:].max(axis=0)])[None]


def union_area(regions_xyxy: FloatArray) -> float:
    """Return the area that the regions cover together, counting shared parts once."""
    boxes = _as_tuples(regions_xyxy)
    edges = sorted({x for box in boxes for x in (box[0], box[2])})
    return sum(
        (right - left) * _covered_length((box[1], box[3]) for box in boxes if box[0] <= left and box[2] >= right)
        for left, right in pairwise(edges)
    )


def _covered_length(intervals: Iterable[tuple[float, float]]) -> float:
    covered, end = 0.0, -math.inf
    for start, stop in sorted(intervals):
        covered += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return covered


def _as_tuples(regions_xyxy: FloatArray) -> list[_Box]:
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in as_boxes(regions_xyxy).tolist()]


def _growth(a: _Joined, b: _Joined) -> float:
    """Return the area of the joined box as a multiple of the areas in it; infinite where the boxes do not touch."""
    if a.box[0] > b.box[2] or b.box[0] > a.box[2] or a.box[1] > b.box[3] or b.box[1] > a.box[3]:
        return math.inf
    joined = _join(a, b)
    return _area(joined.box) / max(joined.parts_area, sys.float_info.min)


def _join(a: _Joined, b: _Joined) -> _Joined:
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.box, b.box
    box = min(ax1, bx1), min(ay1, by1), max(ax2, bx2), max(ay2, by2)
    return _Joined(box, a.parts_area + b.parts_area)


def _area(box: _Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
