"""Which frames are worth a teacher's time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from capture_samples import frame_of
from edge_autotuner.capture import FrameSelector, MotionResult
from edge_autotuner.config import CaptureConfig

EMPTY = np.full((40, 60), 100, np.uint8)


def _motion(left: int | None, *, known: bool = True) -> MotionResult:
    """Return what a gate would say of a 10x10 square at (left, 10)."""
    luma, mask = EMPTY.copy(), np.zeros(EMPTY.shape, bool)
    regions = np.zeros((0, 4), np.float32)
    if left is not None:
        luma[10:20, left : left + 10] = 200
        mask[10:20, left : left + 10] = True
        regions = np.array([[left, 10, left + 10, 20]], np.float32)
    return MotionResult(regions, 0.0, mask, luma, EMPTY if known else None)


def _decide(motions: list[MotionResult], n_frames: int | None = None, **settings: Any) -> list[str]:
    config = CaptureConfig.model_validate(settings)
    selector = FrameSelector(config, n_frames=n_frames or len(motions), threshold=20)
    return [selector.decide(frame_of(EMPTY, index), motion) for index, motion in enumerate(motions)]


def test_reasons_in_order() -> None:
    motions = [_motion(None, known=False), _motion(None), _motion(5), _motion(5), _motion(30)]
    assert _decide(motions) == ["background unknown", "no motion", "selected", "nothing new", "selected"]


@pytest.mark.parametrize(
    ("moved_px", "reason"), [(0, "nothing new"), (2, "nothing new"), (3, "selected"), (10, "selected")]
)
def test_a_quarter_must_be_new(moved_px: int, reason: str) -> None:
    assert _decide([_motion(5), _motion(5 + moved_px)])[1] == reason


def test_compares_with_the_last_selected_not_the_last_frame() -> None:
    reasons = _decide([_motion(5), _motion(7), _motion(9), _motion(11)])
    assert reasons == ["selected", "nothing new", "selected", "nothing new"]


def test_zero_change_fraction_takes_all_motion() -> None:
    assert _decide([_motion(5), _motion(5), _motion(None)], min_change_fraction=0) == [
        "selected",
        "selected",
        "no motion",
    ]


def test_spread_over_the_period() -> None:
    reasons = _decide([_motion(5 if index % 2 else 30) for index in range(10)], max_images=4)
    assert [index for index, reason in enumerate(reasons) if reason == "selected"] == [0, 3, 6, 9]
    assert reasons[1] == "too soon"


@pytest.mark.parametrize(("n_frames", "max_images"), [(10, 1), (10, 3), (11, 5), (10, 10), (3, 100), (100, 7)])
def test_never_more_than_max_images(n_frames: int, max_images: int) -> None:
    motions = [_motion(index % 5 * 10) for index in range(n_frames)]
    n_selected = _decide(motions, max_images=max_images).count("selected")
    assert 1 <= n_selected <= max_images


def test_gap_in_seconds() -> None:
    reasons = _decide([_motion(index % 4 * 10) for index in range(11)], min_gap_s=0.5)
    assert [index for index, reason in enumerate(reasons) if reason == "selected"] == [0, 5, 10]
    assert reasons.count("too soon") == 8


def test_counts() -> None:
    selector = FrameSelector(CaptureConfig(), n_frames=3, threshold=20)
    assert selector.counts == {}
    for index, motion in enumerate([_motion(None), _motion(5), _motion(5)]):
        selector.decide(frame_of(EMPTY, index), motion)
    assert selector.counts == {"no motion": 1, "selected": 1, "nothing new": 1}
