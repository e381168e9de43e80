"""Scores of a detector, and their JSON form."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.errors import EvaluationError
from edge_autotuner.evaluation import ClassScores, MatchTable, Scores, Truth, score_detections

LABELS = LabelMap(("person", "car", "bus"))
ROW = np.array([[20 * i, 0, 20 * i + 10, 10] for i in range(150)], np.float32)


def _all_right(n: int) -> tuple[list[Detections], list[Truth]]:
    found = Detections(ROW[:n], np.linspace(0.9, 0.1, n), np.zeros(n))
    return [found], [Truth(ROW[:n], np.zeros(n), np.zeros(n, np.bool_))]


def test_only_classes_with_a_truth_are_listed() -> None:
    found = [Detections(ROW[:2], [0.9, 0.8], [0, 2])]
    truths = [Truth(ROW[:3], [0, 1, 1], [False, False, True])]
    scores = score_detections(found, truths, LABELS)
    assert scores.per_class == {"person": ClassScores(1.0, 1.0, 1), "car": ClassScores(0.0, 0.0, 1)}
    assert (scores.ap, scores.n_frames, scores.n_truths) == (0.5, 1, 2)


@pytest.mark.parametrize(("limit", "ap"), [(300, 1.0), (100, 67 / 101), (3, 3 / 101)])
def test_the_limit_of_detections_is_the_one_given(limit: int, ap: float) -> None:
    # recall 100/150 reaches levels 0 .. .66 (67 of 101), recall 3/150 reaches 0, .01 and .02
    found, truths = _all_right(150)
    assert score_detections(found, truths, LABELS, max_detections=limit).ap == pytest.approx(ap)


def test_low_scores_are_left_out() -> None:
    found = [Detections(ROW[:2], [0.05, 0.049], [0, 0])]
    truths = [Truth(ROW[:2], [0, 0], [False, False])]
    assert score_detections(found, truths, LABELS, min_score=0.05).ap == pytest.approx(51 / 101)


def test_no_truths_give_nan_and_null() -> None:
    scores = score_detections([Detections.empty()], [Truth.empty()], LABELS)
    assert math.isnan(scores.ap)
    assert math.isnan(scores.ap50)
    assert json.dumps(scores.to_json(), allow_nan=False)
    assert math.isnan(Scores.from_json(scores.to_json()).ap)


def test_json_round_trip() -> None:
    scores = Scores(0.75, 0.5, {"person": ClassScores(0.75, 0.5, 12)}, 4, 12)
    assert Scores.from_json(json.loads(json.dumps(scores.to_json()))) == scores


@pytest.mark.parametrize(
    "damaged", [{}, {"ap": 1}, {"ap50": 1, "ap": 1, "per_class": 3, "n_frames": 1, "n_truths": 1}, []]
)
def test_damaged_json_is_explained(damaged: object) -> None:
    with pytest.raises(EvaluationError, match="scores cannot be read from JSON"):
        Scores.from_json(damaged)  # type: ignore[arg-type]


def test_inputs_are_untouched() -> None:
    found, truths = _all_right(3)
    score_detections(found, truths, LABELS)
    np.testing.assert_array_equal(found[0].boxes_xyxy, ROW[:3])
    np.testing.assert_array_equal(truths[0].boxes_xyxy, ROW[:3])


def test_lengths_must_agree() -> None:
    for score in (
        lambda: score_detections([], [Truth.empty()], LABELS),
        lambda: MatchTable.build([], [Truth.empty()], max_detections=1),
    ):
        with pytest.raises(EvaluationError, match="detections of 0 frames but truths of 1"):
            score()


def test_class_ids_must_fit_the_labels() -> None:
    with pytest.raises(EvaluationError, match="from 7 to 7, but there are 3 labels"):
        score_detections([Detections(ROW[:1], [0.9], [7])], [Truth.empty()], LABELS)
