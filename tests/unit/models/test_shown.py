"""Which boxes an operating point shows."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from edge_autotuner.core import ClassPoint, Detections, LabelMap, OperatingPoint
from edge_autotuner.models.nms import nms_per_class
from edge_autotuner.models.shown import is_shown, only_shown
from helpers import REPOSITORY

LABELS = LabelMap(("person", "car", "truck"))
HALF = [0, 0, 10, 15]  # overlaps the next by 2/3
WHOLE = [0, 0, 10, 10]


def _point(*, person: float = 1.0, car: float = 1.0, twin_iou: float | None = None) -> OperatingPoint:
    overlaps = {"person": person, "car": car, "truck": 1.0}
    per_class = {name: ClassPoint(0.5, iou, 1.0, 1.0, 50) for name, iou in overlaps.items()}
    return OperatingPoint(per_class, 0.0, 10, 10.0, twin_iou=twin_iou)


def test_scores_from_the_threshold_on_are_shown() -> None:
    found = Detections([WHOLE] * 3, [0.5, 0.49, 0.9], [0, 0, 1])
    assert is_shown(found, _point(), LABELS).tolist() == [True, False, True]


def test_each_class_has_its_own_overlap() -> None:
    found = Detections([WHOLE, HALF, WHOLE, HALF], [0.9, 0.8, 0.7, 0.95], [0, 0, 1, 1])
    assert is_shown(found, _point(person=0.6, car=0.7), LABELS).tolist() == [True, False, True, True]


def test_a_hidden_box_suppresses_nothing() -> None:
    """A truck below its threshold does not hide a car."""
    point = _point(twin_iou=0.6)
    hidden = OperatingPoint({**point.per_class, "truck": ClassPoint(0.99, 1.0, 1.0, 1.0, 50)}, 0.0, 1, 1.0, None, 0.6)
    found = Detections([WHOLE, WHOLE], [0.9, 0.6], [2, 1])
    assert is_shown(found, point, LABELS).tolist() == [True, False]
    assert is_shown(found, hidden, LABELS).tolist() == [False, True]


def test_twins_are_shown_without_suppression_between_classes() -> None:
    found = Detections([WHOLE, WHOLE], [0.9, 0.6], [2, 1])
    assert only_shown(found, _point(person=0.3, car=0.3), LABELS).class_ids.tolist() == [2, 1]


def test_no_boxes_and_an_unknown_class() -> None:
    assert is_shown(Detections.empty(), _point(person=0.4, twin_iou=0.7), LABELS).tolist() == []
    more = LabelMap((*LABELS.names, "dog"))
    assert is_shown(Detections([WHOLE], [1.0], [3]), _point(), more).tolist() == [False]


def test_the_order_is_kept() -> None:
    found = Detections(np.array([[i * 20, 0, i * 20 + 10, 10] for i in range(4)]), [0.6, 0.9, 0.1, 0.7], [0, 1, 0, 2])
    assert only_shown(found, _point(person=0.4, car=0.4, twin_iou=0.5), LABELS).class_ids.tolist() == [0, 1, 2]


@pytest.mark.parametrize("seed", range(5))
def test_the_numpy_code_of_the_documentation_shows_the_same(seed: int) -> None:
    page = (REPOSITORY / "docs/how-to/run-a-bundle.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import numpy as np\n.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    point = _point(person=0.4, car=0.5, twin_iou=0.7)
    description = {"operating_point": point.to_json(), "detector": {"labels": list(LABELS), "nms_iou": 0.6}}
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 12, (40, 2))
    boxes = np.concatenate([corners, corners + rng.integers(6, 14, (40, 2))], axis=1).astype(np.float32)
    scores = rng.random((40, 3)).astype(np.float32)
    found = nms_per_class(Detections(boxes, scores.max(axis=1), scores.argmax(axis=1)), 0.6)
    expected = only_shown(found, point, LABELS).sorted_by_score()
    got = names["shown"](boxes, scores, description)
    assert [name for name, _, _ in got] == [LABELS[i] for i in expected.class_ids]
    assert np.array([box for _, _, box in got]).tolist() == expected.boxes_xyxy.tolist()
