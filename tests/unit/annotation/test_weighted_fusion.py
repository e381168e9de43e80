"""Fused boxes of several teachers: edge cases. Numbers worked out by hand are in tests/golden."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.annotation import fuse_boxes
from edge_autotuner.core import Detections

BOTH_KNOW = np.ones((2, 3), np.bool_)


def found(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def fuse(*parts: Detections, knows: np.ndarray = BOTH_KNOW, **changes: object) -> Detections:
    arguments: dict[str, object] = {"weights": (1.0,) * len(parts), "knows": knows, "fusion_iou": 0.55} | changes
    return fuse_boxes(parts, **arguments)  # type: ignore[arg-type]


def test_a_box_that_one_of_two_saw_loses_half_its_score() -> None:
    fused = fuse(found((0, 0, 10, 10, 0.8, 0)), found())
    assert fused.boxes_xyxy.tolist() == [[0, 0, 10, 10]]
    assert fused.scores.tolist() == pytest.approx([0.4])


def test_a_teacher_that_does_not_know_the_class_does_not_vote() -> None:
    knows = np.array([[True, True, True], [True, False, True]])
    fused = fuse(found((0, 0, 10, 10, 0.8, 1)), found(), knows=knows)
    assert fused.scores.tolist() == pytest.approx([0.8])


def test_weights_count() -> None:
    parts = found((0, 0, 10, 10, 0.8, 0)), found((0, 0, 10, 10, 0.4, 0))
    assert fuse(*parts, weights=(3.0, 1.0)).scores.tolist() == pytest.approx([0.7])
    assert fuse(parts[0], found(), weights=(3.0, 1.0)).scores.tolist() == pytest.approx([0.6])
    assert fuse(found(), parts[0], weights=(3.0, 1.0)).scores.tolist() == pytest.approx([0.2])


@pytest.mark.parametrize(("same_object_iou", "n_fused"), [(None, 2), (0.9, 1), (1.0, 2)])
def test_two_classes_of_one_object(same_object_iou: float | None, n_fused: int) -> None:
    parts = found((0, 0, 10, 10, 0.8, 1)), found((0, 0, 10, 9.5, 0.6, 2))
    fused = fuse(*parts, same_object_iou=same_object_iou)
    assert len(fused) == n_fused
    if n_fused == 1:
        assert fused.class_ids.tolist() == [1]
        assert fused.scores.tolist() == pytest.approx([0.7])


def test_apart_stays_apart() -> None:
    fused = fuse(found((0, 0, 10, 10, 0.8, 0)), found((5, 0, 15, 10, 0.6, 0)))
    assert len(fused) == 2, "they overlap by a third"


def test_nothing() -> None:
    assert len(fuse(found(), found())) == 0


@pytest.mark.parametrize("changes", [{"weights": (1.0,)}, {"weights": (1.0, 0.0)}, {"knows": BOTH_KNOW[:1]}])
def test_wrong_arguments(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="2 teachers need as many positive weights"):
        fuse(found(), found(), **changes)  # type: ignore[arg-type]
