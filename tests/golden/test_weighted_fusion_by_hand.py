"""Weighted boxes fusion against numbers worked out by hand after Solovyev et al. 2021, section 3."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.annotation import fuse_boxes
from edge_autotuner.core import Detections


def test_three_teachers() -> None:
    """Two objects; the first is seen by all three, the second by one.

    Sorted by score: A .9, B .6, C .5 (the first object), B .4 (the second).
    B joins A (IoU 80 / 120 = .667):      x1 = (.9 * 0 + .6 * 2) / 1.5 = .8, x2 = (.9 * 10 + .6 * 12) / 1.5 = 10.8
    C joins {A, B} (IoU with .8..10.8 of 0..9: 82 / 108 = .759):
                                          x1 = (.9 * 0 + .6 * 2 + .5 * 0) / 2 = .6
                                          x2 = (.9 * 10 + .6 * 12 + .5 * 9) / 2 = 10.35
    Score: mean (.9 + .6 + .5) / 3 * min(3, 3) / 3 = .6667. Second object: .4 * 1 / 3 = .1333.
    """
    a = Detections(np.array([[0, 0, 10, 10]]), np.array([0.9]), np.array([0]))
    b = Detections(np.array([[2, 0, 12, 10], [50, 50, 60, 60]]), np.array([0.6, 0.4]), np.array([0, 0]))
    c = Detections(np.array([[0, 0, 9, 10]]), np.array([0.5]), np.array([0]))
    fused = fuse_boxes([a, b, c], weights=(1.0, 1.0, 1.0), knows=np.ones((3, 1), np.bool_), fusion_iou=0.55)
    np.testing.assert_allclose(fused.boxes_xyxy, [[0.6, 0, 10.35, 10], [50, 50, 60, 60]], rtol=1e-6)  # float32
    assert fused.scores.tolist() == pytest.approx([2.0 / 3, 0.4 / 3], rel=1e-6)


def test_two_weighted_teachers_and_a_class_that_one_does_not_know() -> None:
    """Weights are 2 and 1.

    First object, seen by both: coordinates by weighted score 2 * .5 = 1 and 1 * .8 = .8:
    x2 = (1 * 10 + .8 * 11) / 1.8 = 10.4444; score (1 + .8) / 2 * 2 / 3 = .6.
    Second object, class 1, seen by the second teacher, unknown to the first: 1 * .7 * 1 / 1 = .7.
    """
    first = Detections(np.array([[0, 0, 10, 10]]), np.array([0.5]), np.array([0]))
    second = Detections(np.array([[0, 0, 11, 10], [30, 0, 40, 10]]), np.array([0.8, 0.7]), np.array([0, 1]))
    knows = np.array([[True, False], [True, True]])
    fused = fuse_boxes([first, second], weights=(2.0, 1.0), knows=knows, fusion_iou=0.55)
    assert fused.class_ids.tolist() == [1, 0]
    np.testing.assert_allclose(fused.boxes_xyxy, [[30, 0, 40, 10], [0, 0, 18.8 / 1.8, 10]], rtol=1e-6)
    assert fused.scores.tolist() == pytest.approx([0.7, 0.6], rel=1e-6)
