"""The simulated camera and its truth."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_autotuner.capture import VideoFile
from edge_autotuner.core import STREET_6, box_areas
from edge_autotuner.errors import StorageError
from edge_autotuner.simulation import SimulatedCamera
from edge_autotuner.simulation.actors import Timetable

SMALL = (160, 96)


@pytest.fixture(scope="module")
def camera() -> SimulatedCamera:
    return SimulatedCamera(SMALL, 150, seed=3)


def test_same_seed_same_pictures_and_truth(camera: SimulatedCamera) -> None:
    again = SimulatedCamera(SMALL, 150, seed=3)
    assert again.info == camera.info
    for index in (0, 60, 100):
        np.testing.assert_array_equal(again.frame(index).image_bgr, camera.frame(index).image_bgr)
        np.testing.assert_array_equal(again.truth(index).boxes_xyxy, camera.truth(index).boxes_xyxy)


def test_other_seed_other_pictures(camera: SimulatedCamera) -> None:
    other = SimulatedCamera(SMALL, 150, seed=4)
    assert other.info.sha256 != camera.info.sha256
    assert (other.street_bgr != camera.street_bgr).mean() > 0.5


def test_frame_does_not_depend_on_what_was_asked_before(camera: SimulatedCamera) -> None:
    in_order = {frame.index: frame.luma for frame in camera.frames() if frame.index in (20, 70)}
    np.testing.assert_array_equal(camera.frame(70).luma, in_order[70])
    np.testing.assert_array_equal(camera.frame(20).luma, in_order[20])


def test_truth_is_inside_the_frame_with_street_classes(camera: SimulatedCamera) -> None:
    seen = set()
    for index in range(150):
        truth = camera.truth(index)
        assert (truth.boxes_xyxy >= 0).all()
        assert (truth.boxes_xyxy[:, 2:] <= SMALL).all()
        assert (box_areas(truth.boxes_xyxy) > 0).all()
        assert (truth.scores == 1).all()
        seen |= {STREET_6[class_id] for class_id in truth.class_ids}
    assert seen == {"person", "car"}


def test_empty_stretch_is_the_empty_street(camera: SimulatedCamera) -> None:
    for index in range(30):
        assert len(camera.truth(index)) == 0
    difference = camera.frame(0).image_bgr.astype(int) - camera.street_bgr
    assert abs(difference.mean()) < 1
    assert 1.0 < difference.std() < 3.0  # sensor noise only


def test_boxes_enclose_what_differs_from_the_street() -> None:
    camera = SimulatedCamera(SMALL, 60, seed=0, n_objects=1)
    checked = 0
    for index in range(60):
        truth = camera.truth(index)
        change = np.abs(camera.frame(index).image_bgr.astype(int) - camera.street_bgr).max(axis=2) > 40
        if len(truth) == 0 or truth.boxes_xyxy[0, 2] - truth.boxes_xyxy[0, 0] < 20:
            continue
        x1, y1, x2, y2 = truth.boxes_xyxy[0].astype(int)
        ys, xs = np.nonzero(change)
        assert abs(int(xs.min()) - x1) <= 3
        assert abs(int(xs.max()) + 1 - x2) <= 3
        assert abs(int(ys.min()) - y1) <= 3
        assert abs(int(ys.max()) + 1 - y2) <= 3
        checked += 1
    assert checked >= 5


def test_hidden_objects_are_no_truth() -> None:
    camera = SimulatedCamera(SMALL, 150, seed=0, n_objects=30)
    n_present = sum(len(camera._placed(index)) for index in range(150))
    n_truth = sum(len(camera.truth(index)) for index in range(150))
    assert 0.5 * n_present < n_truth < n_present


def test_no_objects() -> None:
    camera = SimulatedCamera(SMALL, 5, n_objects=0)
    assert [len(camera.truth(index)) for index in range(5)] == [0] * 5
    assert len(list(camera.frames())) == 5


def test_light_changes_slowly() -> None:
    camera = SimulatedCamera(SMALL, 700, n_objects=0)
    means = [float(camera.frame(index).luma.mean()) for index in range(0, 700, 50)]
    assert max(means) - min(means) > 5
    assert max(abs(b - a) for a, b in pairwise(means)) < 8


@pytest.mark.parametrize(
    "arguments",
    [{"size_wh": (63, 64)}, {"size_wh": (161, 96)}, {"n_frames": 1}, {"rate_hz": 0.0}, {"n_objects": -1}],
)
def test_wrong_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected a size|need n_frames"):
        SimulatedCamera(**arguments)


def test_frame_outside(camera: SimulatedCamera) -> None:
    for ask in (camera.frame, camera.truth):
        with pytest.raises(ValueError, match=r"0\.\.149"):
            ask(150)


def test_video_can_be_read_back(tmp_path: Path) -> None:
    camera = SimulatedCamera(SMALL, 40, seed=1)
    camera.write_video(tmp_path / "sim.mp4")
    video = VideoFile(tmp_path / "sim.mp4")
    assert (video.info.n_frames, video.info.size_wh, video.info.rate_hz) == (40, SMALL, 10.0)
    for frame in video.frames():
        difference = frame.image_bgr.astype(int) - camera.frame(frame.index).image_bgr
        assert np.abs(difference).mean() < 8
    assert [path.name for path in tmp_path.iterdir()] == ["sim.mp4"]


def test_ground_truth_file(tmp_path: Path) -> None:
    camera = SimulatedCamera(SMALL, 60, seed=1)
    camera.write_ground_truth(tmp_path / "gt.json")
    coco = json.loads((tmp_path / "gt.json").read_text())
    assert [image["frame_index"] for image in coco["images"]] == list(range(60))
    assert [(c["id"], c["name"]) for c in coco["categories"]] == list(enumerate(STREET_6, start=1))
    assert len({a["id"] for a in coco["annotations"]}) == len(coco["annotations"]) > 0
    index = next(index for index in range(60) if len(camera.truth(index)))
    of_frame = [a for a in coco["annotations"] if a["image_id"] == index + 1]
    x1, y1, x2, y2 = camera.truth(index).boxes_xyxy[0].tolist()
    assert of_frame[0]["bbox"] == [x1, y1, x2 - x1, y2 - y1]
    assert of_frame[0]["category_id"] == int(camera.truth(index).class_ids[0]) + 1


@pytest.mark.parametrize("method", ["write_video", "write_ground_truth"])
def test_unwritable_folder(tmp_path: Path, method: str) -> None:
    camera = SimulatedCamera(SMALL, 2, n_objects=0)
    with pytest.raises(StorageError, match="cannot write"):
        getattr(camera, method)(tmp_path / "missing" / "out.avi")


@pytest.mark.parametrize(
    ("n_frames", "busy"),
    [(2, ((1, 2),)), (150, ((30, 150),)), (300, ((30, 150), (180, 300))), (100, ((20, 100),))],
)
def test_timetable(n_frames: int, busy: tuple[tuple[int, int], ...]) -> None:
    assert Timetable.for_video(n_frames, 10.0).busy == busy
