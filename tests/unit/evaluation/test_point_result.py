"""What a model does at its operating point on later frames."""

from __future__ import annotations

import json
import math

import pytest

from edge_autotuner.core import ClassPoint, Detections, LabelMap, OperatingPoint
from edge_autotuner.core.json_fields import Fields
from edge_autotuner.evaluation import FoundObjects, PointResult, Truth, measure_point, merge_classes

LABELS = LabelMap(("person", "car", "truck"))
POINT = OperatingPoint({name: ClassPoint(0.5, 0.6, 1.0, 1.0, 50) for name in LABELS}, 0.0, 10, 10.0)
BOX, FAR = [0, 0, 10, 10], [50, 50, 60, 60]


def _measure(found: list[Detections], truths: list[Truth], **options: bool) -> PointResult:
    merge = merge_classes(LABELS, {"truck": "car"})
    return measure_point(found, truths, [float(i) for i in range(len(found))], merge, POINT, LABELS, **options)


def test_shown_boxes_are_counted_by_merged_class() -> None:
    found = [Detections([BOX, FAR], [0.9, 0.6], [2, 0]), Detections([BOX], [0.4], [1])]
    result = _measure(found, [Truth([BOX], [1], [False])] * 2)
    assert result.per_class == {"person": FoundObjects(0, 0, 1), "car": FoundObjects(2, 1, 0)}
    assert (result.precision, result.recall, result.n_alarms, result.judged_s) == (0.5, 0.5, 1, 2.0)
    assert result.false_alarms_per_hour == 1800.0


def test_classes_that_nobody_drew_may_be_left_out() -> None:
    found = [Detections([BOX, FAR], [0.9, 0.6], [1, 0])]
    result = _measure(found, [Truth([BOX], [1], [False])], only_known_classes=True)
    assert result.per_class == {"car": FoundObjects(1, 1, 0)}
    assert result.n_alarms == 0


def test_the_curve_says_what_other_thresholds_reach() -> None:
    """A right box below the threshold, and a false one between: precision 1 up to half of the objects, then 2/3."""
    found = [Detections([BOX], [0.9], [1]), Detections([BOX, FAR], [0.2, 0.3], [1, 1])]
    result = _measure(found, [Truth([BOX], [1], [False])] * 2)
    assert len(result.curve) == 101
    assert (result.curve[0], result.curve[50]) == (1.0, 1.0)
    assert result.curve[51] == result.curve[100] == pytest.approx(2 / 3)


def test_a_result_survives_json() -> None:
    result = _measure([Detections([BOX], [0.9], [1])], [Truth([BOX], [1], [False])])
    assert PointResult.from_json(Fields(json.loads(json.dumps(result.to_json())), "")) == result


def test_nothing_at_all() -> None:
    result = _measure([], [])
    assert (result.per_class, result.curve, result.total) == ({}, (), FoundObjects(0, 0, 0))
    assert math.isnan(result.precision)
    assert math.isnan(result.recall)
    assert math.isnan(result.false_alarms_per_hour)
