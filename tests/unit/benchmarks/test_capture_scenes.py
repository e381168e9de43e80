"""What the gate is measured against: who is who from frame to frame, and who moves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.capture.scenes import MIN_AREA_PX, _with_movement, follow, highway, pets, simulated
from edge_autotuner.core import box_areas
from edge_autotuner.core.types import FloatArray
from helpers import shared_data


def _boxes(*corners: tuple[float, float]) -> FloatArray:
    """Return boxes of 20x20 at these left top corners."""
    return np.array([(x, y, x + 20, y + 20) for x, y in corners], np.float32).reshape(-1, 4)


def test_numbers_stay_with_objects_that_overlap() -> None:
    frames = {0: _boxes((0, 0), (50, 0)), 1: _boxes((54, 0), (4, 0)), 2: _boxes((8, 0)), 3: _boxes((9, 0), (58, 0))}
    assert follow(frames) == {0: [0, 1], 1: [1, 0], 2: [0], 3: [0, 2]}


def test_the_pair_that_overlaps_most_is_linked_first() -> None:
    assert follow({0: _boxes((0, 0)), 1: _boxes((8, 0), (2, 0))}) == {0: [0], 1: [1, 0]}


def test_objects_are_not_followed_across_missing_frames() -> None:
    assert follow({4: _boxes((0, 0)), 6: _boxes((0, 0))}) == {4: [0], 6: [1]}


def test_no_boxes() -> None:
    assert follow({0: _boxes(), 1: _boxes()}) == {0: [], 1: []}


@pytest.mark.parametrize(
    ("step_px", "is_moving"),
    [(0.0, False), (0.15, False), (0.21, True), (1.0, True)],
    ids=["rests", "1.5", "2.1", "walks"],
)
def test_moving_means_two_pixels_within_a_second(step_px: float, is_moving: bool) -> None:
    frames = {index: _boxes((index * step_px, 0)) for index in range(25)}
    truths = _with_movement(frames, None, rate_hz=10.0)
    assert [bool(truths[index].is_moving[0]) for index in range(10, 25)] == [is_moving] * 15


def test_a_tenth_of_its_size_is_enough_for_a_small_object() -> None:
    frames = {index: np.array([[index * 0.1, 0, index * 0.1 + 9, 8]], np.float32) for index in range(12)}
    assert _with_movement(frames, None, rate_hz=10.0)[11].is_moving.all()


def test_who_was_not_there_a_second_ago_moves() -> None:
    truths = _with_movement({index: _boxes((0, 0)) for index in range(12)}, None, rate_hz=10.0)
    assert [bool(truths[index].is_moving[0]) for index in range(12)] == [True] * 10 + [False] * 2


def test_given_tracks_are_used() -> None:
    frames = {0: _boxes((0, 0), (100, 0)), 1: _boxes((100, 0), (0, 0))}
    truths = _with_movement(frames, {0: [7, 8], 1: [8, 7]}, rate_hz=1.0)
    assert not truths[1].is_moving.any()


def test_small_objects_are_not_scored() -> None:
    small, large = [0.0, 0.0, 7.0, 8.0], [20.0, 0.0, 30.0, 6.0]
    truth = _with_movement({0: np.array([small, large], np.float32)}, None, rate_hz=10.0)[0]
    assert truth.boxes_xyxy.tolist() == [large]
    assert len(truth.is_moving) == 1


def test_highway_is_labelled_where_it_is_said() -> None:
    folder = shared_data("scenes/cdnet_highway")
    scene = highway(folder.parent.parent, 485)
    assert (scene.size_wh, scene.rate_hz) == ((320, 240), pytest.approx(60.0, rel=1e-4))
    assert sorted(scene.truths) == list(range(469, 485))
    assert [index for index, truth in scene.truths.items() if len(truth.boxes_xyxy) == 0] == list(range(470, 480))
    assert len(list(scene.frames())) == 485


def test_pets_uses_the_tracks_of_its_annotation() -> None:
    folder = shared_data("scenes/pets2009_s2l1")
    scene = pets(folder.parent.parent, 30)
    n_boxes = len([a for a in json.loads((folder / "gt_coco.json").read_text())["annotations"] if a["image_id"] < 30])
    assert sum(len(truth.boxes_xyxy) for truth in scene.truths.values()) == n_boxes
    assert [frame.time_s for frame in scene.frames()] == pytest.approx([index / 10 for index in range(30)])


def test_the_simulated_scene_has_objects_and_empty_frames(tmp_path: Path) -> None:
    scene = simulated(tmp_path, 60)
    counts = [len(truth.boxes_xyxy) for truth in scene.truths.values()]
    assert len(counts) == 60
    assert counts.count(0) >= 10
    assert max(counts) >= 1
    assert all((box_areas(truth.boxes_xyxy) >= MIN_AREA_PX).all() for truth in scene.truths.values())
