"""What must hold for every frame size, every grid, and every set of boxes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_autotuner.annotation.fusion import is_cut, keep_one_class, merge_views
from edge_autotuner.annotation.views import View, grid_of_tiles, merge_crops, plan_views
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Detections, iou_matrix

sizes = st.tuples(st.integers(1, 900), st.integers(1, 900))
few = settings(max_examples=60)


@st.composite
def regions_in(draw: st.DrawFn, size_wh: tuple[int, int]) -> np.ndarray:
    boxes = []
    for _ in range(draw(st.integers(0, 5))):
        x1, x2 = sorted(draw(st.tuples(st.floats(0, size_wh[0]), st.floats(0, size_wh[0]))))
        y1, y2 = sorted(draw(st.tuples(st.floats(0, size_wh[1]), st.floats(0, size_wh[1]))))
        boxes.append((x1, y1, x2, y2))
    return np.array(boxes, np.float32).reshape(-1, 4)


@st.composite
def detections(draw: st.DrawFn) -> Detections:
    n = draw(st.integers(0, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    corners = rng.integers(0, 60, (n, 2))
    boxes = np.concatenate([corners, corners + rng.integers(1, 40, (n, 2))], axis=1)
    scores = rng.permutation(np.linspace(0.1, 0.9, n))  # distinct
    return Detections(boxes.astype(np.float32), scores.astype(np.float32), rng.integers(0, 3, n))


def painted(size_wh: tuple[int, int], rects: list[tuple[int, int, int, int]]) -> np.ndarray:
    seen = np.zeros((size_wh[1], size_wh[0]), bool)
    for x1, y1, x2, y2 in rects:
        seen[y1:y2, x1:x2] = True
    return seen


@few
@given(sizes, st.integers(1, 8), st.integers(1, 8), st.floats(0, 0.85))
def test_tiles_cover_the_area_and_stay_inside(size: tuple[int, int], columns: int, rows: int, overlap: float) -> None:
    tiles = grid_of_tiles((0, 0, *size), (columns, rows), overlap)
    assert len(tiles) == columns * rows
    assert all(0 <= x1 < x2 <= size[0] and 0 <= y1 < y2 <= size[1] for x1, y1, x2, y2 in tiles)
    assert painted(size, tiles).all()


@few
@given(sizes.flatmap(lambda size: st.tuples(st.just(size), regions_in(size))), st.integers(16, 300))
def test_crops_cover_their_regions_and_stay_inside(case: tuple[tuple[int, int], np.ndarray], min_crop_px: int) -> None:
    size, regions = case
    config = AnnotationConfig(look="crops", min_crop_px=min_crop_px)
    views = plan_views(size, regions, config, detector_input_wh=(100, 80))
    rects = [view.rect_xyxy for view in views]
    assert len(set(rects)) == len(rects)
    assert all(0 <= x1 < x2 <= size[0] and 0 <= y1 < y2 <= size[1] for x1, y1, x2, y2 in rects)
    wanted = [(int(x1), int(y1), int(np.ceil(x2)), int(np.ceil(y2))) for x1, y1, x2, y2 in regions.tolist()]
    assert not (painted(size, wanted) & ~painted(size, rects)).any()
    for view in views:
        x1, y1, x2, y2 = view.rect_xyxy
        assert view.is_inner == (x1 > 0, y1 > 0, x2 < size[0], y2 < size[1])
    assert bool(views) == bool(len(regions))


@few
@given(st.lists(st.tuples(*[st.integers(0, 50)] * 2, *[st.integers(51, 99)] * 2), max_size=8))
def test_merging_crops_loses_no_pixel(crops: list[tuple[int, int, int, int]]) -> None:
    merged = merge_crops(crops)
    assert len(merged) <= len(crops)
    assert not (painted((100, 100), crops) & ~painted((100, 100), merged)).any()


def rows(found: Detections) -> list[tuple[float, ...]]:
    table = np.column_stack([found.boxes_xyxy, found.scores, found.class_ids])
    return [tuple(row) for row in table.tolist()]


@few
@given(st.lists(detections(), max_size=3), st.floats(0.2, 0.9), st.none() | st.floats(0.3, 0.9))
def test_merged_boxes_are_given_boxes_and_apart(
    parts: list[Detections], merge_iou: float, same_object_iou: float | None
) -> None:
    merged = merge_views(parts, merge_iou=merge_iou, max_detections=20, same_object_iou=same_object_iou)
    assert set(rows(merged)) <= {row for part in parts for row in rows(part)}
    assert len(merged) <= 20
    assert (np.diff(merged.scores) <= 0).all()
    overlap = iou_matrix(merged.boxes_xyxy, merged.boxes_xyxy) - np.eye(len(merged))
    same = merged.class_ids[:, None] == merged.class_ids[None, :]
    assert (overlap[same] <= merge_iou + 1e-5).all()
    assert same_object_iou is None or (overlap[~same] <= same_object_iou + 1e-5).all()


@few
@given(detections(), st.integers(0, 2**32 - 1), st.none() | st.just(0.6))
def test_order_of_boxes_changes_nothing(found: Detections, seed: int, same_object_iou: float | None) -> None:
    shuffled = found.select(np.random.default_rng(seed).permutation(len(found)))
    merged, again = (
        merge_views([part], merge_iou=0.5, max_detections=300, same_object_iou=same_object_iou)
        for part in (found, shuffled)
    )
    assert rows(merged) == rows(again)


@few
@given(detections())
def test_merging_twice_changes_nothing(found: Detections) -> None:
    once = merge_views([found], merge_iou=0.5, max_detections=300, same_object_iou=0.6)
    assert rows(keep_one_class(once, 0.6)) == rows(once)
    assert rows(merge_views([once], merge_iou=0.5, max_detections=300)) == rows(once)


@few
@given(detections(), st.tuples(*[st.booleans()] * 4), st.floats(0, 30, width=32))
def test_boxes_go_only_at_inner_sides(found: Detections, inner: tuple[bool, bool, bool, bool], border: float) -> None:
    view = View((0, 0, 100, 100), inner)
    for row, box_is_cut in zip(rows(found), is_cut(found, view, border), strict=True):
        gaps = (row[0], row[1], 100 - row[2], 100 - row[3])
        cut = any(is_inner and gap <= border for is_inner, gap in zip(inner, gaps, strict=True))
        assert box_is_cut == cut
