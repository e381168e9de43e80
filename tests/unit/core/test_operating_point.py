"""The value that says which boxes are shown, and its JSON form."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from edge_autotuner.core import ClassPoint, LabelMap, OperatingPoint
from edge_autotuner.core.json_fields import Fields

LABELS = LabelMap(("person", "car"))
NAN = float("nan")
POINT = OperatingPoint(
    {"person": ClassPoint(0.4, 0.45, 0.95, 0.93, 120), "car": ClassPoint(0.35, 1.0, NAN, NAN, 0, is_pooled=True)},
    false_alarms_per_hour=12.5,
    n_frames=40,
    judged_s=36.0,
    max_false_alarms_per_hour=20.0,
    twin_iou=0.8,
)


def _read(values: Any, labels: LabelMap = LABELS) -> OperatingPoint:
    return OperatingPoint.from_json(Fields(json.loads(json.dumps(values)), ""), labels)


def test_a_point_survives_json() -> None:
    again = _read(POINT.to_json())
    assert again.to_json() == POINT.to_json()
    assert math.isnan(again.per_class["car"].recall)
    assert again.per_class["car"].is_pooled
    assert again.rule == "at most 20 false alarms per hour"


def test_a_point_by_f1_has_no_limit() -> None:
    values = {**POINT.to_json(), "rule": "f1"}
    assert _read(values).max_false_alarms_per_hour is None
    assert _read(values).rule == "best F1"


def test_thresholds_are_in_the_order_of_the_labels() -> None:
    labels = LabelMap(("car", "bus", "person"))
    assert POINT.min_scores(labels).tolist() == [0.35, 1.01, 0.4]
    assert POINT.nms_ious(labels).tolist() == [1.0, 1.0, 0.45]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("per_class", {}),
        ("per_class", {"person": POINT.per_class["person"].to_json()}),
        ("per_class", {name: POINT.per_class["person"].to_json() for name in ("person", "car", "dog")}),
        ("rule", "best"),
        ("n_frames", -1),
        ("judged_s", math.inf),
        ("judged_s", None),
        ("false_alarms_per_hour", -1),
        ("max_false_alarms_per_hour", None),
        ("twin_iou", 0),
        ("twin_iou", 1.5),
    ],
)
def test_a_wrong_value_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=key):
        OperatingPoint.from_json(Fields({**POINT.to_json(), key: value}, ""), LABELS)


@pytest.mark.parametrize(
    ("key", "value"),
    [("min_score", 1.1), ("min_score", None), ("nms_iou", 0), ("precision", 2), ("recall", "1"), ("n_objects", 1.5),
     ("is_pooled", 1), ("more", 1)],
)  # fmt: skip
def test_a_wrong_value_of_a_class_is_refused(key: str, value: object) -> None:
    values = POINT.to_json()
    values["per_class"]["car"][key] = value
    with pytest.raises(ValueError, match=f"per_class.car.*{key}"):
        OperatingPoint.from_json(Fields(values, ""), LABELS)


def test_values_out_of_range_cannot_be_made() -> None:
    for wrong in ({"min_score": NAN}, {"nms_iou": 0.0}, {"precision": 1.1}, {"n_objects": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ClassPoint(**({"min_score": 0.5, "nms_iou": 0.5, "precision": 1.0, "recall": 1.0, "n_objects": 1} | wrong))
    with pytest.raises(ValueError, match="at least one class"):
        OperatingPoint({}, 0.0, 0, 0.0)
