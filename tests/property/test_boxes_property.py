"""What must hold for all boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.capture.regions import union_area
from edge_autotuner.core import (
    box_areas,
    clip_boxes,
    covered_fraction,
    iou_matrix,
    scale_boxes,
    subtract_boxes,
    xywh_to_xyxy,
    xyxy_to_xywh,
)
from edge_autotuner.core.boxes import as_boxes, intersection_matrix
from edge_autotuner.core.types import FloatArray

coordinate = st.floats(-5000, 5000, width=32)
box = st.tuples(coordinate, coordinate, coordinate, coordinate)
any_boxes = st.lists(box, max_size=6).map(as_boxes)  # turned inside out and empty ones too
boxes_lists = any_boxes.map(
    lambda b: np.concatenate([np.minimum(b[:, :2], b[:, 2:]), np.maximum(b[:, :2], b[:, 2:])], 1)
)
size = st.tuples(st.integers(1, 4000), st.integers(1, 4000))


@given(any_boxes, any_boxes)
def test_iou_is_symmetric_and_a_share(a: FloatArray, b: FloatArray) -> None:
    iou = iou_matrix(a, b)
    assert iou.shape == (len(a), len(b))
    assert (iou == iou_matrix(b, a).T).all()
    assert ((iou >= 0) & (iou <= 1)).all()


@given(boxes_lists)
def test_a_box_with_an_area_overlaps_itself_entirely(boxes: FloatArray) -> None:
    itself = np.diag(iou_matrix(boxes, boxes))
    assert (itself == (box_areas(boxes) > 0)).all()


@given(boxes_lists, boxes_lists)
def test_the_covered_share_bounds_iou(a: FloatArray, b: FloatArray) -> None:
    share = covered_fraction(a, b)
    assert ((share >= 0) & (share <= 1)).all()
    assert (iou_matrix(a, b) <= share + 1e-6).all()  # the union is never smaller than one of them


@given(boxes_lists)
def test_coco_form_and_back(boxes: FloatArray) -> None:
    # one rounding of float32 at coordinates up to 5000, widths up to 10000
    assert xywh_to_xyxy(xyxy_to_xywh(boxes)) == pytest.approx(boxes, abs=2e-3)


@given(boxes_lists, size, size)
def test_scaling_and_back(boxes: FloatArray, a_wh: tuple[int, int], b_wh: tuple[int, int]) -> None:
    there = scale_boxes(boxes, from_size_wh=a_wh, to_size_wh=b_wh)
    assert scale_boxes(there, from_size_wh=b_wh, to_size_wh=a_wh) == pytest.approx(boxes, rel=1e-5, abs=1e-6)


@given(boxes_lists, size)
def test_clipping_stays_inside_and_changes_nothing_the_second_time(boxes: FloatArray, size_wh: tuple[int, int]) -> None:
    clipped = clip_boxes(boxes, size_wh=size_wh)
    assert (clipped >= 0).all()
    assert (clipped[:, [0, 2]] <= size_wh[0]).all()
    assert (clipped[:, [1, 3]] <= size_wh[1]).all()
    assert (box_areas(clipped) <= box_areas(boxes) * (1 + 1e-6)).all()
    assert (clip_boxes(clipped, size_wh=size_wh) == clipped).all()


@given(boxes_lists.filter(len), boxes_lists)
def test_a_box_without_holes_is_what_is_left(wholes: FloatArray, holes: FloatArray) -> None:
    whole = wholes[0]
    parts = subtract_boxes(whole, holes)
    assert (parts[:, 2:] > parts[:, :2]).all()
    assert intersection_matrix(parts, whole[None]).sum() == pytest.approx(box_areas(parts).sum())  # inside
    assert not intersection_matrix(parts, holes).any()
    apart = intersection_matrix(parts, parts)
    assert not apart[~np.eye(len(parts), dtype=bool)].any()
    inner_holes = np.concatenate([np.maximum(holes[:, :2], whole[:2]), np.minimum(holes[:, 2:], whole[2:])], axis=1)
    lost = union_area(inner_holes[(inner_holes[:, 2:] > inner_holes[:, :2]).all(axis=1)])
    assert box_areas(parts).astype(np.float64).sum() + lost == pytest.approx(
        float(box_areas(wholes)[0]), rel=1e-3, abs=1
    )
