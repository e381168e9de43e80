"""Counts of all thresholds at once are those of showing the boxes from each threshold on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.evaluation import Truth, choose_operating_point, count_shown
from edge_autotuner.evaluation.operating_curve import OperatingCurve, mark_boxes
from edge_autotuner.models.nms import nms_per_class
from edge_autotuner.models.shown import only_shown

LABELS = LabelMap(("person",))


def _scene(seed: int, n_frames: int) -> tuple[list[Detections], list[Truth], list[float]]:
    """Crowded boxes, so that they overlap within and across frames; scores on a grid, so that some are equal."""
    rng = np.random.default_rng(seed)

    def boxes(n: int) -> np.ndarray:
        corners = rng.integers(0, 20, (n, 2))
        return np.concatenate([corners, corners + rng.integers(6, 12, (n, 2))], axis=1).astype(np.float32)

    detections, truths = [], []
    for _ in range(n_frames):
        n, m = int(rng.integers(0, 6)), int(rng.integers(0, 4))
        detections.append(Detections(boxes(n), rng.integers(1, 10, n) / 10, np.zeros(n)))
        truths.append(Truth(boxes(m), np.zeros(m), rng.random(m) < 0.2))
    return detections, truths, np.cumsum(rng.random(n_frames)).tolist()


@given(st.integers(0, 10_000), st.integers(0, 6), st.sampled_from([0.4, 0.6, 1.0]))
def test_counts_of_all_thresholds(seed: int, n_frames: int, nms_iou: float) -> None:
    detections, truths, times_s = _scene(seed, n_frames)
    curve = OperatingCurve.of(mark_boxes(detections, truths, 0, nms_iou=nms_iou, max_detections=100))
    left = detections if nms_iou == 1 else [nms_per_class(found, nms_iou) for found in detections]
    for i, threshold in enumerate(curve.thresholds.tolist()):
        shown = [found.above(threshold) for found in left]
        counts = count_shown(shown, truths, times_s, n_classes=1)
        expected = [int(each.sum()) for each in (counts.n_found, counts.n_false, counts.n_alarms)]
        assert [curve.n_found[i], curve.n_false[i], curve.n_alarms[i]] == expected
        assert curve.alarms_at(threshold) == curve.n_alarms[i]


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([None, 0.0, 300.0, 3000.0]))
def test_expectations_are_what_the_shown_boxes_find(seed: int, allowed: float | None) -> None:
    detections, truths, times_s = _scene(seed, 40)
    point = choose_operating_point(detections, truths, times_s, LABELS, max_false_alarms_per_hour=allowed)
    assert point is not None
    shown = [only_shown(found, point, LABELS) for found in detections]
    counts = count_shown(shown, truths, times_s, n_classes=1)
    person = point.per_class["person"]
    assert (person.precision, person.recall) == pytest.approx((counts.precision(), counts.recall()), nan_ok=True)
    assert point.false_alarms_per_hour == counts.false_alarms_per_hour()
    if allowed is not None:
        assert counts.false_alarms_per_hour() <= allowed
