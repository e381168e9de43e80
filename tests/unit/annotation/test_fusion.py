"""Boxes of several views become one set."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.annotation.fusion import is_cut, keep_one_class, merge_views
from edge_autotuner.annotation.views import View
from edge_autotuner.core import Detections

TOP_LEFT_TILE = View((0, 0, 400, 300), (False, False, True, True))


def found(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


@pytest.mark.parametrize(
    ("box", "stays"),
    [
        pytest.param((0, 0, 50, 50), True, id="at the border of the frame"),
        pytest.param((350, 100, 396.5, 150), True, id="3.5 px from an inner side"),
        pytest.param((350, 100, 397, 150), False, id="3 px from an inner side"),
        pytest.param((350, 100, 400, 150), False, id="at the inner right"),
        pytest.param((100, 250, 150, 300), False, id="at the inner bottom"),
        pytest.param((0, 250, 50, 299), False, id="at both kinds of side"),
    ],
)
def test_cut_boxes(box: tuple[float, float, float, float], stays: bool) -> None:
    assert is_cut(found((*box, 0.9, 0)), TOP_LEFT_TILE, 3.0).tolist() == [not stays]


def test_the_full_frame_cuts_nothing() -> None:
    frame = View((0, 0, 400, 300), (False, False, False, False))
    assert is_cut(found((0, 0, 400, 300, 0.9, 0)), frame, 3.0).tolist() == [False]
    assert is_cut(Detections.empty(), TOP_LEFT_TILE, 3.0).tolist() == []


def test_best_of_overlapping_views_stays() -> None:
    parts = [found((0, 0, 10, 10, 0.5, 0)), found((1, 0, 11, 10, 0.75, 0), (50, 50, 60, 60, 0.25, 0))]
    merged = merge_views(parts, merge_iou=0.5, max_detections=300)
    assert merged.boxes_xyxy.tolist() == [[1, 0, 11, 10], [50, 50, 60, 60]]
    assert merged.scores.tolist() == [0.75, 0.25]


def test_a_half_object_of_a_tile_goes_at_the_protocols_overlap() -> None:
    """The half covers 0.55 of the whole: one object. At 0.45 both stay, as in the measured protocol."""
    whole = found((0, 0, 100, 40, 0.9, 1))
    for width, n_left in ((55, 1), (45, 2)):
        part = found((0, 0, width, 40, 0.6, 1))
        assert len(merge_views([whole, part], merge_iou=0.5, max_detections=300)) == n_left


def test_classes_do_not_suppress_each_other_unless_asked() -> None:
    parts = [found((0, 0, 10, 10, 0.5, 0)), found((0, 0, 10, 10, 0.75, 1))]
    assert len(merge_views(parts, merge_iou=0.5, max_detections=300)) == 2
    one = merge_views(parts, merge_iou=0.5, max_detections=300, same_object_iou=0.7)
    assert one.class_ids.tolist() == [1]


def test_keep_one_class_is_greedy() -> None:
    """The second goes because of the first, so the third, which only overlaps the second, stays."""
    chain = found((0, 0, 10, 10, 0.9, 0), (0, 0, 11, 10, 0.8, 1), (0, 0, 15, 10, 0.7, 0))
    assert keep_one_class(chain, 0.7).scores.tolist() == pytest.approx([0.9, 0.7])
    assert len(keep_one_class(Detections.empty(), 0.7)) == 0


def test_limit_keeps_the_best() -> None:
    part = found(*((20 * i, 0, 20 * i + 10, 10, 0.1 * (i + 1), 0) for i in range(5)))
    assert merge_views([part], merge_iou=0.5, max_detections=2).scores.tolist() == pytest.approx([0.5, 0.4])


@pytest.mark.parametrize("parts", [[], [Detections.empty()], [Detections.empty(), Detections.empty()]])
def test_nothing_found(parts: list[Detections]) -> None:
    assert len(merge_views(parts, merge_iou=0.5, max_detections=300)) == 0
