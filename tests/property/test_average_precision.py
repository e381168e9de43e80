"""What holds for any detections: equal to faster-coco-eval, and the laws of average precision."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.evaluation import MatchTable, Truth, score_detections
from support.evaluation.coco_reference import reference_scores

LABELS = LabelMap(("a", "b", "c"))
Scene = tuple[list[Detections], list[Truth]]


def average_precision(found: list[Detections], truths: list[Truth], max_detections: int = 100) -> tuple[float, float]:
    scores = score_detections(found, truths, LABELS, max_detections=max_detections, min_score=0.0)
    return scores.ap50, scores.ap


@st.composite
def scenes(draw: st.DrawFn, min_frames: int = 0) -> Scene:
    """Frames on a small grid, so that ties of score and of overlap, and exact thresholds, are common."""
    seed = draw(st.integers(0, 2**32 - 1))
    n_frames = draw(st.integers(min_frames, 5))
    most = draw(st.integers(1, 12))
    ignored_share = draw(st.sampled_from([0.0, 0.3, 1.0]))
    rng = np.random.default_rng(seed)
    frames = [_frame(rng, most, ignored_share) for _ in range(n_frames)]
    return [found for found, _ in frames], [truth for _, truth in frames]


def _frame(rng: np.random.Generator, most: int, ignored_share: float) -> tuple[Detections, Truth]:
    n_truths, n_found = rng.integers(0, most + 1, 2)
    corners = rng.integers(0, 40, (n_truths, 2))
    boxes = np.concatenate([corners, corners + rng.integers(1, 20, (n_truths, 2))], axis=1)
    near = boxes[rng.integers(0, n_truths, n_found)] if n_truths else rng.integers(0, 40, (n_found, 4))
    moved = near + rng.integers(-2, 3, (n_found, 4))
    moved = np.concatenate([np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])], axis=1)
    found = Detections(moved, rng.integers(1, 11, n_found) / 10, rng.integers(0, 3, n_found))
    return found, Truth(boxes, rng.integers(0, 3, n_truths), rng.random(n_truths) < ignored_share)


def _untied(found: list[Detections]) -> list[Detections]:
    """Return the detections with scores that are all different, in random order."""
    total = sum(map(len, found))
    ranks = iter(np.random.default_rng(0).permutation(total))
    return [replace(f, scores=np.array([(next(ranks) + 1) / (total + 1) for _ in range(len(f))])) for f in found]


@settings(max_examples=150)
@given(scene=scenes(), max_detections=st.sampled_from([1, 2, 5, 100]))
def test_equal_to_faster_coco_eval(scene: Scene, max_detections: int) -> None:
    found, truths = scene
    ours = average_precision(found, truths, max_detections=max_detections)
    reference = reference_scores(found, truths, LABELS, max_detections=max_detections)
    assert ours == pytest.approx(reference, abs=1e-9, nan_ok=True)


@settings(max_examples=60)
@given(scene=scenes(min_frames=1), data=st.data())
def test_weights_are_repeated_frames_without_ties(scene: Scene, data: st.DataObject) -> None:
    """Of two equal scores in one frame, all repetitions of the first rank before those of the second."""
    found, truths = _untied(scene[0]), scene[1]
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(found), max_size=len(found)))
    repeated = [i for i, n in enumerate(weights) for _ in range(n)]
    weighted = MatchTable.build(found, truths, max_detections=100).mean_ap(weights)
    plain = average_precision([found[i] for i in repeated], [truths[i] for i in repeated])[1]
    assert weighted == pytest.approx(plain, abs=1e-9, nan_ok=True)


@settings(max_examples=60)
@given(scene=scenes(min_frames=1), score=st.floats(0, 1))
def test_one_more_false_alarm_never_raises_ap(scene: Scene, score: float) -> None:
    found, truths = scene
    before = average_precision(found, truths)
    alarms = Detections([[900, 900, 910, 910]] * 3, [score] * 3, [0, 1, 2])
    after = average_precision([Detections.concatenate([found[0], alarms]), *found[1:]], truths)
    assert math.isnan(before[0]) or (after[0] <= before[0] + 1e-12 and after[1] <= before[1] + 1e-12)


@settings(max_examples=60)
@given(scene=scenes(min_frames=1))
def test_between_zero_and_one_and_ap50_is_the_largest(scene: Scene) -> None:
    ap50, ap = average_precision(*scene)
    assert math.isnan(ap) or 0.0 <= ap <= ap50 + 1e-12 <= 1.0 + 1e-9


@settings(max_examples=60)
@given(scene=scenes(min_frames=1))
def test_order_of_frames_does_not_matter_without_ties(scene: Scene) -> None:
    unique, truths = _untied(scene[0]), scene[1]
    forwards, backwards = average_precision(unique, truths), average_precision(unique[::-1], truths[::-1])
    assert forwards == pytest.approx(backwards, abs=1e-12, nan_ok=True)


@settings(max_examples=40)
@given(scene=scenes(min_frames=1))
def test_the_truth_itself_scores_one(scene: Scene) -> None:
    truths = [replace(t, is_ignored=np.zeros(len(t), np.bool_)) for t in scene[1]]
    perfect = [Detections(t.boxes_xyxy, np.ones(len(t)), t.class_ids) for t in truths]
    assert average_precision(perfect, truths)[1] == pytest.approx(1.0) or not any(map(len, truths))
