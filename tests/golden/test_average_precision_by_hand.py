"""Average precision worked out by hand, for our own and for the reference's computation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.evaluation import Truth, score_detections
from support.evaluation.coco_reference import reference_scores

LABELS = LabelMap(("a", "b", "unused"))
A, B, C, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [80, 80, 90, 90]


def _found(boxes: list[list[int]], scores: list[float], classes: list[int] | None = None) -> Detections:
    return Detections(boxes, scores, classes or [0] * len(boxes))


def _truth(boxes: list[list[int]], classes: list[int] | None = None, ignored: list[bool] | None = None) -> Truth:
    return Truth(boxes, classes or [0] * len(boxes), ignored or [False] * len(boxes))


CASES = [
    pytest.param([_found([A], [0.9])], [_truth([A])], 1.0, 1.0, id="one right"),
    pytest.param([Detections.empty()], [_truth([A])], 0.0, 0.0, id="nothing found"),
    pytest.param([_found([FAR], [0.9])], [_truth([A])], 0.0, 0.0, id="one wrong"),
    # recall .5 at precision 1: levels 0 .. .50 are 51 of 101
    pytest.param([_found([A], [0.9])], [_truth([A, B])], 51 / 101, 51 / 101, id="one of two"),
    # ranks TP FP TP, 2 truths
    pytest.param(
        [_found([A, FAR, B], [0.9, 0.8, 0.7])],
        [_truth([A, B])],
        (51 + 50 * 2 / 3) / 101,
        (51 + 50 * 2 / 3) / 101,
        id="TP FP TP",
    ),
    # ranks FP TP: precision 1/2 at every recall
    pytest.param([_found([FAR, A], [0.9, 0.8])], [_truth([A])], 0.5, 0.5, id="FP TP"),
    # IoU .8: right at .50 to .80, seven of ten thresholds
    pytest.param([_found([[0, 0, 10, 8]], [0.9])], [_truth([A])], 1.0, 0.7, id="loose box"),
    # class a: 1, class b: 0, class unused: not counted
    pytest.param([_found([A], [0.9])], [_truth([A, B], [0, 1])], 0.5, 0.5, id="two classes"),
    # a box of a class without truth costs nothing, as in COCO
    pytest.param([_found([A, B], [0.9, 0.95], [0, 2])], [_truth([A])], 1.0, 1.0, id="class without truth"),
    # the false alarm lies in a region that is ignored
    pytest.param([_found([A, B], [0.8, 0.9])], [_truth([A, B], ignored=[False, True])], 1.0, 1.0, id="ignored"),
    # frames: TP .9 in the first, FP .8 in the second, TP .7 in the third
    pytest.param(
        [_found([A], [0.9]), _found([FAR], [0.8]), _found([C], [0.7])],
        [_truth([A]), Truth.empty(), _truth([C])],
        (51 + 50 * 2 / 3) / 101,
        (51 + 50 * 2 / 3) / 101,
        id="scores are ranked across frames",
    ),
]


@pytest.mark.parametrize(("found", "truths", "ap50", "ap"), CASES)
def test_our_scores(found: list[Detections], truths: list[Truth], ap50: float, ap: float) -> None:
    scores = score_detections(found, truths, LABELS)
    assert (scores.ap50, scores.ap) == pytest.approx((ap50, ap), abs=1e-12)


@pytest.mark.parametrize(("found", "truths", "ap50", "ap"), CASES)
def test_the_reference(found: list[Detections], truths: list[Truth], ap50: float, ap: float) -> None:
    assert reference_scores(found, truths, LABELS) == pytest.approx((ap50, ap), abs=1e-12)


def test_no_truths_at_all_have_no_average_precision() -> None:
    for truths in ([], [Truth.empty()], [_truth([A], ignored=[True])]):
        assert math.isnan(score_detections([_found([A], [0.9]) for _ in truths], truths, LABELS).ap)


def test_ours_and_the_reference_agree_on_a_thousand_boxes() -> None:
    """Some of the noisy boxes are turned inside out, which COCO leaves out."""
    rng = np.random.default_rng(11)
    truths, found = [], []
    for _ in range(40):
        corners = rng.uniform(0, 600, (25, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(8, 60, (25, 2))], axis=1).astype(np.float32)
        classes = rng.integers(0, 2, 25)
        truths.append(Truth(boxes, classes, rng.random(25) < 0.1))
        found.append(Detections(boxes + rng.normal(0, 3, boxes.shape), rng.random(25), classes))
    scores = score_detections(found, truths, LABELS, min_score=0.0)
    assert reference_scores(found, truths, LABELS) == pytest.approx((scores.ap50, scores.ap), abs=1e-12)
    assert 0.2 < scores.ap < scores.ap50 < 1.0
