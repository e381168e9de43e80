"""What counts as right, and which places are neither right nor wrong."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.core import Annotation, Detections
from edge_autotuner.evaluation import Truth, ignored_elsewhere, in_looked_area, truth_from_annotation


def _annotation(scores: list[float], looked: list[list[float]] | None = None) -> Annotation:
    n = len(scores)
    boxes = np.array([[10 * i, 0, 10 * i + 8, 8] for i in range(n)], np.float32).reshape(-1, 4)
    looked_xyxy = np.array(looked if looked is not None else [[0, 0, 100, 100]], np.float32)
    return Annotation(Detections(boxes, scores, np.arange(n)), looked_xyxy)


def test_uncertain_boxes_are_ignored_and_the_threshold_itself_counts() -> None:
    truth = truth_from_annotation(_annotation([0.9, 0.3, 0.299, 0.1]), min_score=0.3)
    assert truth.is_ignored.tolist() == [False, False, True, True]
    assert truth.class_ids.tolist() == [0, 1, 2, 3]
    assert (len(truth), truth.n_counted) == (4, 2)


def test_annotation_without_boxes_is_an_empty_truth() -> None:
    truth = truth_from_annotation(Annotation.nothing_seen(), min_score=0.3)
    assert (len(truth), truth.n_counted) == (0, 0)
    assert Truth.empty().boxes_xyxy.shape == (0, 4)


def test_of_class_keeps_boxes_and_flags_together() -> None:
    truth = Truth([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]], [1, 0, 1], [False, False, True])
    assert truth.of_class(1).boxes_xyxy[:, 2].tolist() == [1, 3]
    assert truth.of_class(1).is_ignored.tolist() == [False, True]
    assert len(truth.of_class(7)) == 0


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match=r"one length, got \(1, 2, 1\)"):
        Truth([[0, 0, 1, 1]], [0, 1], [False])


@pytest.mark.parametrize(
    ("looked", "kept"),
    [
        pytest.param([[0, 0, 100, 100]], [0, 1, 2], id="whole frame"),
        pytest.param([[0, 0, 14, 8]], [0, 1], id="half of the second box is seen"),
        pytest.param([[0, 0, 13, 8]], [0], id="less than half of it"),
        pytest.param([], [], id="nothing seen"),
    ],
)
def test_detections_outside_the_looked_area_are_dropped(looked: list[list[float]], kept: list[int]) -> None:
    annotation = _annotation([0.9, 0.8, 0.7], looked)
    assert in_looked_area(annotation.detections, annotation).class_ids.tolist() == kept


def test_no_detections_stay_no_detections() -> None:
    assert len(in_looked_area(Detections.empty(), _annotation([0.9]))) == 0


def test_rectangles_that_were_looked_at_count_together() -> None:
    """Holes cut what was looked at into strips, and a box across them was seen nevertheless."""
    strips = _annotation([0.9], [[0, 0, 8, 3], [0, 3, 8, 6]])
    assert len(in_looked_area(strips.detections, strips)) == 1
    overlapping = _annotation([0.9], [[0, 0, 3, 8], [0, 0, 3, 8]])
    assert len(in_looked_area(overlapping.detections, overlapping)) == 0


def test_human_boxes_are_ignored_where_the_teacher_has_not_looked() -> None:
    truth = Truth([[0, 0, 8, 8], [50, 50, 60, 60], [5, 0, 25, 8]], [0, 0, 1], [False, False, False])
    limited = ignored_elsewhere(truth, _annotation([], [[0, 0, 10, 10]]))
    assert limited.is_ignored.tolist() == [False, True, True]
    assert ignored_elsewhere(truth, _annotation([])).n_counted == 3
    assert ignored_elsewhere(truth, Annotation.nothing_seen()).n_counted == 0
