"""Several classes scored as one."""

from __future__ import annotations

import pytest

from edge_autotuner.core import STREET_6, Detections
from edge_autotuner.errors import ConfigError
from edge_autotuner.evaluation import Truth, merge_classes, score_detections

CARS = {"bus": "car", "truck": "car"}


def test_classes_become_one_in_detections_and_truth() -> None:
    merge = merge_classes(STREET_6, CARS)
    assert merge.labels.names == ("person", "bicycle", "car", "motorcycle")
    boxes = [[0, 0, 1, 1]] * 3
    assert merge.detections(Detections(boxes, [0.9, 0.8, 0.7], [4, 5, 0])).class_ids.tolist() == [2, 2, 0]
    assert merge.truth(Truth(boxes, [2, 5, 3], [False] * 3)).class_ids.tolist() == [2, 2, 3]


def test_empty_mapping_and_empty_frames_change_nothing() -> None:
    merge = merge_classes(STREET_6, {})
    assert merge.labels == STREET_6
    assert len(merge.detections(Detections.empty())) == 0
    assert len(merge.truth(Truth.empty())) == 0


def test_target_may_be_a_new_name() -> None:
    merge = merge_classes(STREET_6, CARS | {"car": "vehicle", "bus": "vehicle", "truck": "vehicle"})
    assert merge.labels.names == ("person", "bicycle", "vehicle", "motorcycle")


def test_the_same_object_as_car_and_truck_is_one_false_alarm() -> None:
    merge = merge_classes(STREET_6, CARS)
    found = Detections([[0, 0, 10, 10], [0, 0, 10, 10], [50, 0, 60, 10]], [0.9, 0.8, 0.7], [5, 2, 2])
    truth = Truth([[0, 0, 10, 10], [50, 0, 60, 10]], [2, 2], [False, False])
    # ranks TP FP TP, 2 truths: precision 1 up to recall .5 (51 of 101 levels), then 2/3
    expected = (51 + 50 * 2 / 3) / 101
    assert score_detections([merge.detections(found)], [merge.truth(truth)], merge.labels).ap50 == pytest.approx(
        expected
    )


def test_unknown_class_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown class 'lorry'; known classes: person, bicycle"):
        merge_classes(STREET_6, {"lorry": "car"})


def test_chains_are_refused() -> None:
    with pytest.raises(ConfigError, match="'bus' is mapped to another class"):
        merge_classes(STREET_6, {"truck": "bus", "bus": "car"})
