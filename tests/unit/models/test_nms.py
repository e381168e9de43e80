"""Hand-made cases of non-maximum suppression."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.core import Detections
from edge_autotuner.models import nms_per_class


def made(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5])


@pytest.mark.parametrize(
    ("rows", "kept_scores"),
    [
        pytest.param([], [], id="empty"),
        pytest.param([(0, 0, 10, 10, 0.4, 0)], [0.4], id="one"),
        pytest.param([(0, 0, 10, 10, 0.4, 0), (0, 0, 10, 9, 0.9, 0)], [0.9], id="duplicate"),  # IoU 0.9
        pytest.param([(0, 0, 10, 10, 0.4, 0), (0, 0, 10, 4, 0.9, 0)], [0.9, 0.4], id="below"),  # IoU 0.4
        pytest.param([(0, 0, 10, 10, 0.4, 0), (0, 0, 10, 10, 0.9, 1)], [0.9, 0.4], id="other-class"),
        pytest.param([(0, 0, 10, 10, 0.0, 0)], [0.0], id="score-zero"),
        pytest.param([(5, 5, 5, 9, 0.9, 0), (9, 9, 2, 2, 0.8, 0)], [], id="without-area"),
        # the second removes nothing, because the first has removed it
        pytest.param(
            [(0, 0, 10, 10, 0.9, 0), (0, 3, 10, 13, 0.8, 0), (0, 6, 10, 16, 0.7, 0)], [0.9, 0.7], id="chain"
        ),
        pytest.param(
            [(-90, -90, -80, -80, 0.9, 1), (10, 10, 20, 20, 0.8, 0)], [0.9, 0.8], id="negative-coordinates"
        ),
    ],
)  # fmt: skip
def test_kept_boxes(rows: list[tuple[float, float, float, float, float, int]], kept_scores: list[float]) -> None:
    assert nms_per_class(made(*rows), 0.5).scores.tolist() == pytest.approx(kept_scores)


def test_equal_scores_keep_their_order() -> None:
    boxes = made((0, 0, 10, 10, 0.5, 2), (20, 0, 30, 10, 0.5, 1), (0, 0, 10, 10, 0.5, 2))
    assert nms_per_class(boxes, 0.5).class_ids.tolist() == [2, 1]


def test_small_boxes_far_away_stay_exact() -> None:
    """At 1e5 pixels and class 79, single precision would lose these overlaps."""
    near = (100_000, 100_000, 100_003, 100_003, 0.9, 79)
    assert len(nms_per_class(made(near, (100_001, 100_000, 100_004, 100_003, 0.8, 79)), 0.6)) == 2  # IoU 0.5
    assert len(nms_per_class(made(near, (100_001, 100_000, 100_004, 100_003, 0.8, 79)), 0.4)) == 1


@pytest.mark.parametrize("iou", [0.0, -0.1, 1.1, float("nan")])
def test_overlap_out_of_range_is_refused(iou: float) -> None:
    with pytest.raises(ValueError, match="iou must be in"):
        nms_per_class(made(), iou)
