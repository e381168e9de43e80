"""What must hold for every set of boxes of every number of teachers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_autotuner.annotation import fuse_boxes, merge_views
from edge_autotuner.core import Detections

N_CLASSES = 3
few = settings(max_examples=80)


@st.composite
def detections(draw: st.DrawFn) -> Detections:
    n = draw(st.integers(0, 15))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    corners = rng.uniform(0, 60, (n, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(2, 40, (n, 2))], axis=1)
    return Detections(boxes.astype(np.float32), rng.uniform(0.1, 0.9, n), rng.integers(0, N_CLASSES, n))


def fuse(parts: list[Detections], weights: list[float], same_object_iou: float | None) -> Detections:
    knows = np.ones((len(parts), N_CLASSES), np.bool_)
    return fuse_boxes(parts, weights=weights, knows=knows, fusion_iou=0.55, same_object_iou=same_object_iou)


@few
@given(detections(), st.floats(0.2, 5), st.none() | st.just(0.7))
def test_one_teacher_alone_gets_its_boxes_back(found: Detections, weight: float, same_object_iou: float | None) -> None:
    alone = merge_views([found], merge_iou=0.5, max_detections=300, same_object_iou=same_object_iou)
    fused = fuse([alone], [weight], same_object_iou)
    np.testing.assert_array_equal(fused.boxes_xyxy, alone.boxes_xyxy)
    np.testing.assert_array_equal(fused.class_ids, alone.class_ids)
    np.testing.assert_allclose(fused.scores, alone.scores, rtol=1e-6)


@few
@given(st.lists(detections(), min_size=2, max_size=4), st.randoms(), st.none() | st.just(0.7))
def test_order_of_teachers_changes_nothing(
    parts: list[Detections], random: object, same_object_iou: float | None
) -> None:
    weights = [0.5 + i for i in range(len(parts))]
    order = list(range(len(parts)))
    random.shuffle(order)  # type: ignore[attr-defined]
    one = fuse(parts, weights, same_object_iou)
    other = fuse([parts[i] for i in order], [weights[i] for i in order], same_object_iou)
    np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, rtol=1e-5)
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5)
    np.testing.assert_array_equal(one.class_ids, other.class_ids)


@few
@given(st.lists(detections(), min_size=1, max_size=4))
def test_scores_and_boxes_stay_within_those_given(parts: list[Detections]) -> None:
    fused = fuse(parts, [1.0] * len(parts), None)
    together = Detections.concatenate(parts)
    assert len(fused) <= len(together)
    assert (np.diff(fused.scores) <= 0).all()
    if len(together):
        assert fused.scores.max() <= together.scores.max() + 1e-6
        assert (fused.boxes_xyxy >= together.boxes_xyxy.min(axis=0) - 1e-3).all()
        assert (fused.boxes_xyxy <= together.boxes_xyxy.max(axis=0) + 1e-3).all()
