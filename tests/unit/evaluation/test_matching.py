"""COCO matching of one class in one frame."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.core import Detections
from edge_autotuner.evaluation import Truth, match_frame

HALF = np.array([0.5])


def _found(*rows: tuple[float, float, float, float, float]) -> Detections:
    values = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(values[:, :4], values[:, 4], np.zeros(len(values)))


def _truth(*rows: tuple[float, float, float, float], ignored: tuple[int, ...] = ()) -> Truth:
    return Truth(
        np.array(rows, np.float32).reshape(-1, 4), np.zeros(len(rows)), [i in ignored for i in range(len(rows))]
    )


def test_nothing_found_and_nothing_there() -> None:
    match = match_frame(_found(), _truth(), max_detections=10)
    assert match.is_right.shape == match.is_wrong.shape == (10, 0)


def test_one_box_where_nothing_is() -> None:
    match = match_frame(_found((0, 0, 10, 10, 0.9)), _truth(), max_detections=10, iou_thresholds=HALF)
    assert (match.is_right.tolist(), match.is_wrong.tolist()) == ([[False]], [[True]])


def test_a_duplicate_is_wrong_and_the_best_score_wins() -> None:
    found = _found((0, 0, 10, 10, 0.5), (0, 0, 10, 9, 0.9))
    match = match_frame(found, _truth((0, 0, 10, 10)), max_detections=10, iou_thresholds=HALF)
    assert match.order.tolist() == [1, 0]
    assert match.is_right.tolist() == [[True, False]]
    assert match.is_wrong.tolist() == [[False, True]]


def test_overlap_decides_per_threshold() -> None:
    match = match_frame(_found((0, 0, 10, 7.4, 0.9)), _truth((0, 0, 10, 10)), max_detections=10)  # IoU .74
    assert match.is_right[:, 0].tolist() == [True] * 5 + [False] * 5


@pytest.mark.parametrize(("height", "n_right"), [(6.0, 3), (5.0, 1), (9.0, 9), (10.0, 10)])
def test_an_overlap_of_exactly_the_threshold_counts(height: float, n_right: int) -> None:
    match = match_frame(_found((0, 0, 10, height, 0.9)), _truth((0, 0, 10, 10)), max_detections=10)
    assert int(match.is_right.sum()) == n_right


def test_each_detection_takes_the_free_object_it_overlaps_most() -> None:
    found = _found((0, 0, 10, 10, 0.9), (0, 0, 10, 9, 0.8))
    truth = _truth((0, 0, 10, 8), (0, 0, 10, 10))
    match = match_frame(found, truth, max_detections=10, iou_thresholds=HALF)
    assert match.matched_truth.tolist() == [[1, 0]]


def test_of_equal_overlaps_the_later_object_is_taken() -> None:
    truth = _truth((0, 0, 10, 10), (0, 0, 10, 10))
    match = match_frame(_found((0, 0, 10, 10, 0.9)), truth, max_detections=10, iou_thresholds=HALF)
    assert match.matched_truth.tolist() == [[1]]


def test_many_detections_in_an_ignored_region_are_neither_right_nor_wrong() -> None:
    found = _found((0, 0, 5, 5, 0.9), (5, 5, 10, 10, 0.8), (30, 30, 40, 40, 0.7))
    match = match_frame(found, _truth((0, 0, 20, 20), ignored=(0,)), max_detections=10, iou_thresholds=HALF)
    assert match.is_right.tolist() == [[False, False, False]]
    assert match.is_wrong.tolist() == [[False, False, True]]


def test_a_counted_object_is_preferred_to_a_region_that_covers_more() -> None:
    truth = _truth((0, 0, 50, 50), (0, 0, 10, 6), ignored=(0,))
    match = match_frame(_found((0, 0, 10, 10, 0.9)), truth, max_detections=10, iou_thresholds=HALF)
    assert match.matched_truth.tolist() == [[1]]
    assert match.is_right.tolist() == [[True]]


def test_only_the_best_detections_are_looked_at() -> None:
    found = _found((30, 30, 40, 40, 0.9), (0, 0, 10, 10, 0.8))
    match = match_frame(found, _truth((0, 0, 10, 10)), max_detections=1, iou_thresholds=HALF)
    assert match.is_right.tolist() == [[False]]


def test_a_box_turned_inside_out_is_left_out() -> None:
    match = match_frame(_found((10, 0, 0, 10, 0.9)), _truth((0, 0, 10, 10)), max_detections=10, iou_thresholds=HALF)
    assert (match.is_right.tolist(), match.is_wrong.tolist()) == ([[False]], [[False]])


def test_a_box_without_area_finds_nothing() -> None:
    match = match_frame(_found((0, 0, 0, 0, 0.9)), _truth((0, 0, 0, 0)), max_detections=10, iou_thresholds=HALF)
    assert match.is_wrong.tolist() == [[True]]
