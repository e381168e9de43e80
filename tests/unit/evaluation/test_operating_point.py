"""Choosing the score and the overlap at which boxes are shown."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from edge_autotuner.core import Detections, LabelMap, OperatingPoint
from edge_autotuner.errors import EvaluationError
from edge_autotuner.evaluation import Truth, choose_operating_point
from edge_autotuner.evaluation.operating_point import MIN_OBJECTS

PERSON, BOTH = LabelMap(("person",)), LabelMap(("car", "truck"))
BOX, TWICE, FAR = [0, 0, 10, 10], [0, 0, 10, 15], [50, 50, 60, 60]  # BOX and TWICE overlap by 2/3
OBJECT = Truth([BOX], [0], [False])


def _choose(
    frames: Sequence[Detections], *, labels: LabelMap = PERSON, truths: Sequence[Truth] | None = None, **limits: float
) -> OperatingPoint:
    times = [float(i) for i in range(len(frames))]
    point = choose_operating_point(frames, truths or [OBJECT] * len(frames), times, labels, **limits)
    assert point is not None
    return point


def _frame(*rows: tuple[list[int], float]) -> Detections:
    return Detections([box for box, _ in rows], [score for _, score in rows], [0] * len(rows))


def test_threshold_is_between_the_last_right_and_the_best_wrong_score() -> None:
    point = _choose([_frame((BOX, 0.75), (FAR, 0.25))] * 40)
    person = point.per_class["person"]
    assert (person.min_score, person.nms_iou, person.n_objects, person.is_pooled) == (0.5, 1.0, 40, False)
    assert (person.precision, person.recall, point.false_alarms_per_hour) == (1.0, 1.0, 0.0)
    assert (point.n_frames, point.judged_s, point.rule, point.twin_iou) == (40, 40.0, "best F1", None)


def test_threshold_stays_away_from_right_scores_where_nothing_is_wrong() -> None:
    """A box on an ignored place says nothing about where to stop."""
    truths = [Truth([BOX, FAR], [0, 0], [False, True])] * 40
    point = _choose([_frame((BOX, 0.9), (FAR, 0.8))] * 40, truths=truths)
    assert point.per_class["person"].min_score == pytest.approx(0.45)


def test_second_boxes_on_an_object_are_suppressed() -> None:
    """No score divides them from right boxes; an overlap does."""
    frames = [_frame((BOX, 0.9), (TWICE, 0.8)), _frame((BOX, 0.7))] * 20
    point = _choose(frames, protocol_iou=0.7).per_class["person"]
    assert (point.nms_iou, point.precision, point.recall) == (0.65, 1.0, 1.0)
    assert point.min_score < 0.7


def test_overlaps_stay_below_the_one_of_the_protocol() -> None:
    frames = [_frame((BOX, 0.9), ([6, 0, 16, 10], 0.8))] * 40  # overlap .25: no overlap that is tried helps
    assert _choose(frames, protocol_iou=0.6).per_class["person"].nms_iou == 1.0


def test_false_alarms_can_be_limited() -> None:
    """A false place for 20 frames is one alarm; weak right boxes are given up to avoid a second one."""
    frames = [_frame((BOX, 0.9), (FAR, 0.8))] * 20 + [_frame((BOX, 0.5))] * 10 + [_frame((BOX, 0.3), (FAR, 0.4))] * 10
    one_alarm = _choose(frames, max_false_alarms_per_hour=90.0 * 1.01)  # 40 s hold one
    assert (one_alarm.false_alarms_per_hour, one_alarm.per_class["person"].recall) == (90.0, 0.75)
    assert one_alarm.max_false_alarms_per_hour == pytest.approx(90.9)
    none = _choose(frames, max_false_alarms_per_hour=5.0)
    assert (none.false_alarms_per_hour, none.per_class["person"].recall) == (0.0, 0.5)


def test_a_class_with_few_objects_takes_the_threshold_of_all() -> None:
    car = Truth([BOX], [0], [False])
    truck = Truth([BOX], [1], [False])
    frames = [Detections([BOX, FAR], [0.8, 0.4], [0, 0])] * 40 + [Detections([BOX], [0.2], [1])] * 3
    point = _choose(frames, labels=BOTH, truths=[car] * 40 + [truck] * 3)
    assert point.per_class["car"].min_score == pytest.approx(0.6)
    assert not point.per_class["car"].is_pooled
    truck_point = point.per_class["truck"]
    assert truck_point.min_score == pytest.approx(0.6)
    assert (truck_point.is_pooled, truck_point.n_objects) == (True, 3)
    assert truck_point.recall == pytest.approx(40 / 43)  # of all classes


def test_of_points_that_differ_by_chance_the_one_with_fewer_false_boxes_is_taken() -> None:
    """The F1 of 35 right boxes of 37 is .972, that of 37 with two false ones .974: one standard error is .026."""
    frames = [_frame((BOX, 0.9))] * 30 + [_frame((BOX, 0.5))] * 5 + [_frame((BOX, 0.3), (FAR, 0.4))] * 2
    point = _choose(frames).per_class["person"]
    assert (point.precision, point.recall) == (1.0, 35 / 37)
    assert point.min_score == pytest.approx(0.45)


def test_twins_of_two_classes_are_suppressed_where_it_is_better() -> None:
    car = Truth([BOX], [0], [False])
    twins = [Detections([BOX, BOX], [0.9, 0.8], [0, 1])] * 40
    trucks = [Detections([BOX], [0.8], [1])] * 40
    point = _choose(twins + trucks, labels=BOTH, truths=[car] * 40 + [Truth([BOX], [1], [False])] * 40)
    assert point.twin_iou == 0.8
    assert point.per_class["truck"].precision == 1.0


def test_too_few_objects_choose_nothing() -> None:
    few = MIN_OBJECTS - 1
    assert choose_operating_point([_frame((BOX, 0.9))] * few, [OBJECT] * few, [0.0] * few, PERSON) is None
    assert choose_operating_point([], [], [], PERSON) is None
    assert choose_operating_point([], [], [], LabelMap(())) is None


def test_a_model_that_finds_nothing_shows_nothing() -> None:
    point = _choose([Detections.empty()] * 40)
    assert point.per_class["person"].min_score == 1.0
    assert math.isnan(point.per_class["person"].precision)
    assert point.per_class["person"].recall == 0.0


def test_lengths_must_agree() -> None:
    with pytest.raises(EvaluationError, match="truths of 1"):
        choose_operating_point([Detections.empty()] * 2, [OBJECT], [0.0] * 2, PERSON)


def test_the_same_frames_choose_the_same_point() -> None:
    rng = np.random.default_rng(0)
    frames = [_frame((BOX, float(rng.random())), (FAR, float(rng.random()))) for _ in range(60)]
    assert _choose(frames).to_json() == _choose(frames).to_json()
