"""Training part and kept part."""

from __future__ import annotations

from typing import Any

import pytest

from edge_autotuner.capture import plan_split
from edge_autotuner.capture.split import SplitPlan, spread
from edge_autotuner.config import CaptureConfig
from edge_autotuner.core import SourceInfo
from edge_autotuner.errors import ConfigError, EvaluationError


def _info(n_frames: int) -> SourceInfo:
    return SourceInfo("video", "cam.avi", (64, 48), n_frames, 10.0, "0" * 64)


def _plan(n_frames: int, **settings: Any) -> SplitPlan:
    return plan_split(_info(n_frames), CaptureConfig.model_validate(settings))


@pytest.mark.parametrize(
    ("n_frames", "settings", "train", "test"),
    [
        pytest.param(10, {}, range(8), (8, 9), id="last fifth"),
        pytest.param(2, {}, range(1), (1,), id="two frames"),
        pytest.param(10, {"test_fraction": 0.5, "max_test_images": 2}, range(5), (5, 7), id="evenly spread"),
        pytest.param(10, {"test_fraction": 0.99}, range(1), tuple(range(1, 10)), id="one is left to train"),
        pytest.param(10, {"test_fraction": 0.5, "test_every": 2}, range(5), (5, 7, 9), id="every second"),
        pytest.param(10, {"test_every": 1, "max_test_images": 1}, range(8), (8, 9), id="every ignores the maximum"),
        pytest.param(10, {"train_frames": "0:4", "test_frames": "6:9"}, range(4), (6, 7, 8), id="both by hand"),
        pytest.param(10, {"train_frames": "2:4"}, range(2, 4), (8, 9), id="train by hand"),
        pytest.param(10, {"train_frames": "0:9"}, range(9), (9,), id="kept part gives way to train"),
        pytest.param(10, {"test_frames": "6:"}, range(6), (6, 7, 8, 9), id="test by hand"),
        pytest.param(10, {"test_frames": "0:3"}, range(3, 10), (0, 1, 2), id="test at the start"),
    ],
)
def test_plan(n_frames: int, settings: dict[str, Any], train: range, test: tuple[int, ...]) -> None:
    assert _plan(n_frames, **settings) == SplitPlan(train, test)


def test_protocol_of_the_pets_benchmark() -> None:
    plan = _plan(795, train_frames="0:500", test_frames="500:795", test_every=6)
    assert plan.train == range(500)
    assert plan.test == tuple(range(500, 795, 6))


@pytest.mark.parametrize(
    ("n_frames", "settings", "words"),
    [
        pytest.param(100, {"train_frames": "0:500"}, "train_frames 0:500 is outside cam.avi", id="train too long"),
        pytest.param(100, {"test_frames": "100:"}, "test_frames 100:100 is outside", id="test after the end"),
        pytest.param(100, {"train_frames": "0:100"}, "leave nothing to evaluate", id="all trains"),
        pytest.param(100, {"test_frames": "0:100"}, "leaving none to train on", id="all tests"),
        pytest.param(1, {}, "only 1 frame", id="one frame"),
    ],
)
def test_impossible_plans(n_frames: int, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        _plan(n_frames, **settings)


def test_everything_trains_with_another_test_source() -> None:
    assert plan_split(_info(5), CaptureConfig(), keep_test=False) == SplitPlan(range(5), ())
    config = CaptureConfig(train_frames=(1, 3))
    assert plan_split(_info(5), config, keep_test=False) == SplitPlan(range(1, 3), ())
    assert plan_split(_info(1), CaptureConfig(), keep_test=False) == SplitPlan(range(1), ())


@pytest.mark.parametrize(
    ("settings", "labelled", "expected"),
    [
        pytest.param({"max_test_images": 2}, None, (10, 15), id="without ground truth"),
        pytest.param({"max_test_images": 2}, {1, 11, 13, 15, 18, 400}, (10, 11, 15), id="as many besides"),
        pytest.param({"max_test_images": 2}, set(range(20)), (10, 15), id="everything has ground truth"),
        pytest.param({}, {12}, tuple(range(10, 20)), id="one frame has"),
        pytest.param({"test_every": 4}, {11, 13, 15}, (10, 11, 14, 18), id="every n-th of both"),
    ],
)
def test_ground_truth_adds_frames_to_the_evaluation_and_takes_none(
    settings: dict[str, Any], labelled: set[int] | None, expected: tuple[int, ...]
) -> None:
    plan = plan_split(_info(20), CaptureConfig(test_fraction=0.5, **settings), labelled_indices=labelled)
    assert plan.test == expected
    assert plan.train == range(10)


def test_ground_truth_elsewhere() -> None:
    with pytest.raises(EvaluationError, match="lists no frame of the held-out part 8:10"):
        plan_split(_info(10), CaptureConfig(), labelled_indices=[0, 1])


def test_n_needed() -> None:
    assert SplitPlan(range(5), (8, 9)).n_needed == 10
    assert SplitPlan(range(3, 10), (0,)).n_needed == 10
    assert SplitPlan(range(4), ()).n_needed == 4


@pytest.mark.parametrize(
    ("indices", "every", "at_most", "expected"),
    [([], None, 5, []), ([3], None, 5, [3]), (range(9), None, 3, [0, 3, 6]), (range(5), 2, 1, [0, 2, 4])],
)
def test_spread(indices: list[int], every: int | None, at_most: int, expected: list[int]) -> None:
    assert list(spread(indices, every=every, at_most=at_most)) == expected
