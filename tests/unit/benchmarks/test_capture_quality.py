"""How the gate is scored."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from benchmarks.capture.quality import Tally, Variant, measure, seen, variants
from benchmarks.capture.scenes import MeasuredScene, Truth
from edge_autotuner.capture import MotionResult
from edge_autotuner.config import BackgroundConfig, MotionConfig
from edge_autotuner.core.plugins import BACKGROUNDS
from edge_autotuner.core.types import FloatArray
from support.cameras.capture_samples import scene_with_square

NOTHING = np.zeros((8, 8), np.uint8)


def _result(*regions: tuple[float, float, float, float], fraction: float = 0.1) -> MotionResult:
    boxes = np.array(regions, np.float32).reshape(-1, 4)
    return MotionResult(boxes, fraction, NOTHING > 0, NOTHING, NOTHING)


def _truth(*boxes: tuple[float, float, float, float], moving: tuple[bool, ...] = ()) -> Truth:
    corners: FloatArray = np.array(boxes, np.float32).reshape(-1, 4)
    return Truth(corners, np.array(moving or (True,) * len(boxes), bool))


@pytest.mark.parametrize(
    ("regions", "is_seen"),
    [
        ([], False),
        ([(0, 0, 7, 10)], True),
        ([(0, 0, 6.9, 10)], False),
        ([(0, 0, 5, 10), (5, 0, 10, 10)], False),
        ([(-5, -5, 50, 50)], True),
    ],
    ids=["nothing", "exactly 70 %", "less", "two halves", "all of it"],
)
def test_seen_is_mostly_inside_one_region(regions: Any, is_seen: bool) -> None:
    assert seen(_result(*regions), _truth((0, 0, 10, 10))).tolist() == [is_seen]


def test_a_tally_counts_moving_and_all_objects_and_empty_frames() -> None:
    tally = Tally()
    tally.add(_result((0, 0, 10, 10), fraction=0.2), _truth((0, 0, 9, 9), (50, 0, 60, 9), moving=(True, False)))
    tally.add(_result(fraction=0.0), _truth((0, 0, 9, 9)))
    tally.add(_result(fraction=0.0), _truth())
    tally.add(_result((0, 0, 4, 4), fraction=0.1), _truth())
    scores = tally.to_json()
    assert (scores["n_frames"], scores["n_moving"], scores["n_all"], scores["n_empty"]) == (4, 2, 3, 2)
    assert scores["recall_moving"] == pytest.approx(1 / 2)
    assert scores["recall_all"] == pytest.approx(1 / 3)
    assert scores["area_fraction"] == pytest.approx(0.3 / 4)
    assert scores["empty_skipped"] == pytest.approx(1 / 2)


def test_nothing_to_count_is_no_number() -> None:
    scores = Tally().to_json()
    assert [scores[name] for name in ("recall_moving", "recall_all", "area_fraction", "empty_skipped")] == [None] * 4


def test_a_square_that_crosses_an_empty_scene_is_seen() -> None:
    lefts = [None] * 40 + list(range(0, 120, 4)) + [None] * 30
    frames = [scene_with_square(index, left) for index, left in enumerate(lefts)]
    truths = {i: _truth() if x is None else _truth((x, 50, x + 24, 74)) for i, x in enumerate(lefts) if i >= 20}
    scene = MeasuredScene("square", [frame.luma for frame in frames], 10.0, truths)
    scores = measure(scene, Variant("method", "first", background={"method": "first"}))
    assert scores["n_frames"] == 80
    assert scores["n_moving"] == 30
    assert scores["recall_moving"] >= 0.9
    assert scores["area_fraction"] < 0.25
    assert scores["empty_skipped"] >= 0.9
    assert scores["n_scene_changes"] == 0


def test_every_background_method_is_compared_and_settings_are_valid() -> None:
    everything = list(variants(quick=False))
    assert [one.name for one in everything if one.group == "method"] == list(BACKGROUNDS.built_in)
    assert len({(one.group, one.name) for one in everything}) == len(everything)
    assert everything[0] == Variant("default", "default")
    thresholds = [MotionConfig(**one.motion).threshold for one in everything if one.group == "threshold"]
    assert all(a is not None and b is not None and a < b for a, b in pairwise(thresholds))
    for one in everything:
        MotionConfig(**one.motion)
        BackgroundConfig(**one.background)


def test_the_quick_run_measures_less_of_the_same() -> None:
    quick = {(one.group, one.name) for one in variants(quick=True)}
    assert quick < {(one.group, one.name) for one in variants(quick=False)}
    assert {group for group, _ in quick} == {"default", "method", "sensitivity", "threshold"}
