"""Counts of shown boxes: objects found, false boxes, and false alarms as runs of false boxes."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.core import Detections
from edge_autotuner.errors import EvaluationError
from edge_autotuner.evaluation import Truth, count_shown
from edge_autotuner.evaluation.false_alarms import judged_seconds, link_frames

BOX, PLACE = [0, 0, 10, 10], [50, 50, 60, 60]
OBJECT = Truth([BOX], [0], [False])
FOUND, BOTH, NOTHING = Detections([BOX], [0.9], [0]), Detections([BOX, PLACE], [0.9, 0.6], [0, 0]), Detections.empty()


def test_a_standing_false_box_is_one_alarm() -> None:
    counts = count_shown([BOTH, BOTH, FOUND, BOTH], [OBJECT] * 4, [0.0, 0.5, 1.0, 1.5], n_classes=1)
    assert counts.n_found[:, 0].tolist() == [1, 1, 1, 1]
    assert counts.n_false[:, 0].tolist() == [1, 1, 0, 1]
    assert counts.n_alarms[:, 0].tolist() == [1, 0, 0, 1]
    assert (counts.recall(), counts.precision(), counts.f1()) == (1.0, 4 / 7, 8 / 11)
    assert counts.false_alarms_per_hour() == 2 / 2.0 * 3600


def test_frames_may_be_weighted_and_classes_counted_alone() -> None:
    other = Detections([PLACE], [0.6], [1])
    counts = count_shown([BOTH, NOTHING, other], [OBJECT] * 3, [0.0, 1.0, 2.0], n_classes=2)
    assert counts.recall([0, 1, 0]) == 0.0
    assert counts.precision([2, 0, 1]) == 2 / 5
    assert counts.of_class(1).n_false.tolist() == [[0], [0], [1]]
    assert np.isnan(counts.of_class(1).recall())


def test_a_second_box_on_an_object_is_false_and_an_ignored_one_is_neither() -> None:
    ignored = Truth([PLACE], [0], [True])
    twice = Detections([BOX, [0, 0, 10, 11]], [0.9, 0.8], [0, 0])
    counts = count_shown([twice, Detections([PLACE], [0.6], [0])], [OBJECT, ignored], [0.0, 1.0], n_classes=1)
    assert counts.n_false[:, 0].tolist() == [1, 0]


def test_nothing_at_all() -> None:
    counts = count_shown([], [], [], n_classes=2)
    assert counts.n_found.shape == (0, 2)
    assert all(np.isnan(v) for v in (counts.precision(), counts.recall(), counts.f1(), counts.false_alarms_per_hour()))


def test_lengths_must_agree() -> None:
    with pytest.raises(EvaluationError, match="times of 1"):
        count_shown([FOUND] * 2, [OBJECT] * 2, [0.0], n_classes=1)


def test_a_frame_stands_for_a_second_at_most() -> None:
    assert judged_seconds([0, 0.4, 10, 10.4]).tolist() == pytest.approx([0.4, 1.0, 0.4, 0.4])
    assert judged_seconds([3.0]).tolist() == [1.0]
    assert judged_seconds([]).tolist() == []


def test_each_false_box_continues_one_alarm() -> None:
    two = Detections([PLACE, [51, 50, 61, 60]], [0.3, 0.8], [0, 0])
    (first, _), (second, scores) = link_frames([Detections([PLACE], [0.6], [0]), two])
    assert first.tolist() == []
    assert second.tolist() == [1]
    assert scores.tolist() == pytest.approx([0.6])
    assert link_frames([]) == []
