"""The fast non-maximum suppression against a slow one that can be read at a glance."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.core import Detections, iou_matrix
from edge_autotuner.models import nms_per_class

# Corners on a coarse grid, so that overlaps are fractions of small numbers; no such fraction is near IOU.
IOU = 0.6180339
corner = st.integers(-20, 20)
side = st.integers(1, 12)
row = st.tuples(corner, corner, side, side, st.integers(0, 20), st.integers(0, 3))


def slow_nms(detections: Detections, iou: float) -> Detections:
    overlaps = iou_matrix(detections.boxes_xyxy, detections.boxes_xyxy)
    kept: list[int] = []
    for i in np.argsort(-detections.scores, kind="stable"):
        same_class = [k for k in kept if detections.class_ids[k] == detections.class_ids[i]]
        if all(overlaps[i, k] <= iou for k in same_class):
            kept.append(int(i))
    return detections.select(np.array(kept, np.int64))


def made(rows: list[tuple[int, ...]]) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 6)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    return Detections(boxes, table[:, 4] / 20, table[:, 5])


@given(st.lists(row, max_size=40))
def test_equals_the_slow_one(rows: list[tuple[int, ...]]) -> None:
    detections = made(rows)
    fast, slow = nms_per_class(detections, IOU), slow_nms(detections, IOU)
    assert fast.boxes_xyxy.tolist() == slow.boxes_xyxy.tolist()
    assert fast.scores.tolist() == slow.scores.tolist()
    assert fast.class_ids.tolist() == slow.class_ids.tolist()


@given(st.lists(row, max_size=40))
def test_a_second_pass_changes_nothing(rows: list[tuple[int, ...]]) -> None:
    once = nms_per_class(made(rows), IOU)
    twice = nms_per_class(once, IOU)
    assert twice.boxes_xyxy.tolist() == once.boxes_xyxy.tolist()
