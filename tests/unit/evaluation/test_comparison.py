"""Several detectors against several truths, and counts of found objects."""

from __future__ import annotations

import json

import pytest

from edge_autotuner.core import STREET_6, Detections
from edge_autotuner.errors import ConfigError, EvaluationError
from edge_autotuner.evaluation import (
    AGAINST_HUMAN,
    AGAINST_TEACHER,
    OFF_THE_SHELF,
    SPECIALIZED,
    TEACHER,
    Comparison,
    FoundObjects,
    Truth,
    compare_detectors,
    count_found,
)

A, B, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [80, 80, 90, 90]
DETECTIONS = {
    OFF_THE_SHELF: [Detections.empty(), Detections([FAR], [0.9], [0])],
    SPECIALIZED: [Detections([A], [0.9], [0]), Detections([B], [0.8], [5])],
    TEACHER: [Detections([A], [0.95], [0]), Detections([B], [0.9], [2])],
}
TRUTHS = {
    AGAINST_TEACHER: [Truth([A], [0], [False]), Truth([B], [2], [False])],
    AGAINST_HUMAN: [None, Truth([B], [2], [False])],
}


def test_every_detector_is_scored_against_every_truth_but_the_teacher_against_itself() -> None:
    table = compare_detectors(DETECTIONS, TRUTHS, STREET_6)
    assert list(table.scores[AGAINST_TEACHER]) == [OFF_THE_SHELF, SPECIALIZED]
    assert list(table.scores[AGAINST_HUMAN]) == [OFF_THE_SHELF, SPECIALIZED, TEACHER]
    assert table.scores[AGAINST_TEACHER][SPECIALIZED].ap == pytest.approx(0.5)  # person 1, car 0
    assert table.get(AGAINST_TEACHER, TEACHER) is None


def test_frames_that_a_truth_does_not_know_are_left_out() -> None:
    scores = compare_detectors(DETECTIONS, TRUTHS, STREET_6).scores[AGAINST_HUMAN][TEACHER]
    assert (scores.n_frames, scores.n_truths, scores.ap) == (1, 1, 1.0)


def test_merged_classes_are_scored_as_one() -> None:
    table = compare_detectors(DETECTIONS, TRUTHS, STREET_6, map_classes={"truck": "car"})
    assert table.scores[AGAINST_HUMAN][SPECIALIZED].ap == 1.0
    with pytest.raises(ConfigError, match="unknown class 'lorry'"):
        compare_detectors(DETECTIONS, TRUTHS, STREET_6, map_classes={"lorry": "car"})


def test_json_round_trip() -> None:
    table = compare_detectors(DETECTIONS, TRUTHS, STREET_6)
    assert Comparison.from_json(json.loads(json.dumps(table.to_json()))) == table
    assert Comparison.from_json({}) == Comparison()


def test_damaged_json_is_explained() -> None:
    with pytest.raises(EvaluationError, match="comparison cannot be read from JSON"):
        Comparison.from_json({"teacher": 3})


def test_every_detector_needs_every_frame() -> None:
    with pytest.raises(EvaluationError, match=r"detector 'x': 1, truth 'teacher': 2"):
        compare_detectors({"x": [Detections.empty()]}, {"teacher": [None, None]}, STREET_6)


def test_found_objects_are_counted_at_the_score_that_is_shown() -> None:
    found = [Detections([A, A, FAR, B], [0.9, 0.5, 0.6, 0.2], [0, 0, 0, 0]), Detections([B], [0.7], [5])]
    truths = [Truth([A, B], [0, 0], [False, False]), Truth([B, B], [5, 2], [False, True])]
    assert count_found(found, truths, min_score=0.3) == FoundObjects(n_truths=3, n_found=2, n_false=2)
    assert count_found(found, truths, min_score=0.3).found_fraction == pytest.approx(2 / 3)


def test_nothing_to_find() -> None:
    counts = count_found([], [], min_score=0.3)
    assert counts == FoundObjects(0, 0, 0)
    assert counts.found_fraction != counts.found_fraction  # nan
    assert FoundObjects.from_json(counts.to_json()) == counts


def test_found_objects_refuse_what_does_not_fit() -> None:
    with pytest.raises(EvaluationError, match="detections of 0 frames but truths of 1"):
        count_found([], [Truth.empty()], min_score=0.3)
    with pytest.raises(EvaluationError, match="counts of found objects"):
        FoundObjects.from_json({"n_truths": "many"})
