"""Plans which rectangles of a frame a teacher looks at, so that small objects are magnified.

Sizes follow the measured protocol of the benchmarks: the full frame plus a grid of tiles of which neighbours
share a part. Motion crops follow sections 3.2 and 3.3 of the paper: a margin around what moves, and a
smallest size so that the teacher sees context.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core.boxes import as_boxes, covered_fraction
from edge_autotuner.core.types import BoolArray, FloatArray, SizeWH

Rect = tuple[int, int, int, int]

_MAX_SHRINK = 1.5  # a crop that the detector would shrink by more than this is looked at in tiles as well
_MAX_WASTE = 1.2  # crops are merged while their common rectangle is at most this much larger than they are
_MOSTLY = 0.9  # share of a box; rectangles that overlap count twice
_ROUNDING = 1e-6  # sums of floats that mean a whole number may miss it by less


@dataclass(frozen=True)
class View:
    """A rectangle of a frame.

    Attributes:
        rect_xyxy: whole pixels, x2 and y2 exclusive, inside the frame.
        is_inner: for left, top, right, bottom: whether the frame continues beyond that side.
    """

    rect_xyxy: Rect
    is_inner: tuple[bool, bool, bool, bool]

    @property
    def n_pixels(self) -> int:
        """Pixels of the frame that it shows."""
        x1, y1, x2, y2 = self.rect_xyxy
        return (x2 - x1) * (y2 - y1)


def plan_views(
    size_wh: SizeWH, regions_xyxy: FloatArray | None, config: AnnotationConfig, *, detector_input_wh: SizeWH
) -> tuple[View, ...]:
    """Return the views of a frame, the largest first within each group, without repetition.

    Args:
        size_wh: of the frame, pixels.
        regions_xyxy: (R, 4) what moves, frame pixels; only `look: crops` is limited to it. None: look at the
            whole frame (`crops` then looks at tiles). R = 0: there is nothing to look at, no views.
        config: how to look.
        detector_input_wh: what pictures are resized to; decides which crops are looked at in tiles too.
    """
    frame = (0, 0, *size_wh)
    if regions_xyxy is not None and len(regions_xyxy) == 0:
        rects: list[Rect] = []
    elif config.look == "full":
        rects = [frame]
    elif config.look == "tiles" or regions_xyxy is None:
        rects = [frame, *grid_of_tiles(frame, config.grid_wh, config.tile_overlap)]
    else:
        crops = _crops(regions_xyxy, size_wh, config)
        rects = [rect for crop in crops for rect in (crop, *_magnifying_tiles(crop, detector_input_wh, config))]
    return tuple(_view(rect, size_wh) for rect in dict.fromkeys(rects))


def shown_rectangles(regions_xyxy: FloatArray, size_wh: SizeWH, config: AnnotationConfig) -> FloatArray:
    """Return the (C, 4) crops that `look: crops` makes of (R, 4) motion regions, whole pixels; R = 0: none."""
    return as_boxes(np.array(_crops(regions_xyxy, size_wh, config), np.float32))


def looked_rectangles(views: tuple[View, ...]) -> FloatArray:
    """Return the (R, 4) rectangles that were seen, without those inside another one."""
    rects = [view.rect_xyxy for view in views]
    outer = [a for a in rects if not any(a != b and _shared_area(a, b) == _area(a) for b in rects)]
    return as_boxes(np.array(outer, np.float32))


def was_looked_at(boxes_xyxy: FloatArray, looked_xyxy: FloatArray) -> BoolArray:
    """Return (N,) whether the rectangles (R, 4) that were seen cover most of each box."""
    return np.asarray(covered_fraction(boxes_xyxy, looked_xyxy).sum(axis=1) >= _MOSTLY, np.bool_)


def grid_of_tiles(area: Rect, grid_wh: tuple[int, int], overlap: float) -> list[Rect]:
    """Cut an area into columns x rows of equal tiles; neighbours share `overlap` of a tile.

    >>> grid_of_tiles((0, 0, 700, 70), (2, 1), 0.25)
    [(0, 0, 400, 70), (300, 0, 700, 70)]
    """
    x1, y1, x2, y2 = area
    columns = _spans(x1, x2, grid_wh[0], overlap)
    rows = _spans(y1, y2, grid_wh[1], overlap)
    return [(left, top, right, bottom) for top, bottom in rows for left, right in columns]


def crop_around(region_xyxy: FloatArray, size_wh: SizeWH, config: AnnotationConfig) -> Rect:
    """Return the crop for one (4,) motion region: margin, smallest size, moved inside the frame."""
    x1, y1, x2, y2 = (float(value) for value in region_xyxy)
    left, right = _grow(x1, x2, size_wh[0], config)
    top, bottom = _grow(y1, y2, size_wh[1], config)
    return left, top, right, bottom


def merge_crops(crops: list[Rect]) -> list[Rect]:
    """Join overlapping crops while their common rectangle is not much larger than what they cover."""
    merged = list(dict.fromkeys(crops))
    pair = _mergeable_pair(merged)
    while pair is not None:
        first, second = pair
        joined = _bounding(merged[first], merged[second])
        merged = [rect for i, rect in enumerate(merged) if i not in pair and rect != joined]
        merged.append(joined)
        pair = _mergeable_pair(merged)
    return merged


def _crops(regions_xyxy: FloatArray, size_wh: SizeWH, config: AnnotationConfig) -> list[Rect]:
    return merge_crops([crop_around(region, size_wh, config) for region in as_boxes(regions_xyxy)])


def _magnifying_tiles(crop: Rect, input_wh: SizeWH, config: AnnotationConfig) -> list[Rect]:
    """Return tiles of a crop that the detector would shrink too much, else nothing."""
    sides = crop[2] - crop[0], crop[3] - crop[1]
    columns, rows = (
        _tiles_per_side(side, limit * _MAX_SHRINK, config.tile_overlap)
        for side, limit in zip(sides, input_wh, strict=True)
    )
    return [] if columns == rows == 1 else grid_of_tiles(crop, (columns, rows), config.tile_overlap)


def _tiles_per_side(side: int, longest: float, overlap: float) -> int:
    """Return the fewest tiles of at most `longest` pixels whose neighbours share `overlap` of a tile."""
    return 1 + max(0, math.ceil((side / longest - 1) / (1 - overlap) - _ROUNDING))


def _spans(start: int, stop: int, n_tiles: int, overlap: float) -> list[tuple[int, int]]:
    length = (stop - start) / (1 + (n_tiles - 1) * (1 - overlap))
    spans = []
    for i in range(n_tiles):
        first = i * length * (1 - overlap)
        low = min(start + math.floor(first + _ROUNDING), stop - 1)
        high = max(start + math.ceil(first + length - _ROUNDING), low + 1)
        spans.append((low, stop if i == n_tiles - 1 else min(high, stop)))
    return spans


def _grow(low: float, high: float, limit: int, config: AnnotationConfig) -> tuple[int, int]:
    """Return one side of a crop: [start, stop) inside 0..limit."""
    margin = config.crop_margin * (high - low)
    first, last = math.floor(max(0.0, low - margin)), math.ceil(min(limit, high + margin))
    missing = min(config.min_crop_px, limit) - (last - first)
    if missing > 0:
        first = min(max(0, first - missing // 2), limit - min(config.min_crop_px, limit))
        last = first + min(config.min_crop_px, limit)
    return first, last


def _mergeable_pair(rects: list[Rect]) -> tuple[int, int] | None:
    for i, first in enumerate(rects):
        for j in range(i + 1, len(rects)):
            shared = _shared_area(first, rects[j])
            covered = _area(first) + _area(rects[j]) - shared
            if shared > 0 and _area(_bounding(first, rects[j])) <= _MAX_WASTE * covered:
                return i, j
    return None


def _view(rect: Rect, size_wh: SizeWH) -> View:
    return View(rect, (rect[0] > 0, rect[1] > 0, rect[2] < size_wh[0], rect[3] < size_wh[1]))


def _bounding(a: Rect, b: Rect) -> Rect:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _area(rect: Rect) -> int:
    return (rect[2] - rect[0]) * (rect[3] - rect[1])


def _shared_area(a: Rect, b: Rect) -> int:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)
