"""What happens to the simulated scene at a frame, and that the truth follows."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from edge_autotuner.core import STREET_6, iou_matrix
from edge_autotuner.simulation import (
    CameraBump,
    LightSwitch,
    NightSwitch,
    ParkedCar,
    PassingTruck,
    SceneEvent,
    SimulatedCamera,
    parse_event,
)

SMALL = (160, 96)


def _camera(*events: SceneEvent, n_frames: int = 100, n_objects: int = 0, **settings: Any) -> SimulatedCamera:
    return SimulatedCamera(SMALL, n_frames, seed=3, n_objects=n_objects, events=events, **settings)


def _mean(camera: SimulatedCamera, index: int) -> float:
    return float(camera.frame(index).luma.mean())


def test_light_is_switched_and_switched_back() -> None:
    camera = _camera(LightSwitch(60, gain=1.0), LightSwitch(20, gain=0.5, offset=10.0))
    before, dark, after = (_mean(camera, index) for index in (19, 20, 60))
    assert dark == pytest.approx(0.5 * before + 10, abs=1.5)
    assert after == pytest.approx(before, rel=0.06)


def test_night_is_grey_and_dark_in_the_corners() -> None:
    camera = _camera(NightSwitch(20), NightSwitch(60, is_night=False))
    day, night, next_day = (camera.frame(index).image_bgr.astype(float) for index in (19, 20, 60))
    assert abs(np.ptp(night.mean(axis=(0, 1)))) < 1.0 < np.ptp(day.mean(axis=(0, 1)))
    assert night.std() < 0.6 * day.std()
    assert night[-10:, :10].mean() / day[-10:, :10].mean() < 0.7 * night[43:53, 75:85].mean() / day[43:53, 75:85].mean()
    assert np.ptp(next_day.mean(axis=(0, 1))) > 1.0


def test_bumps_move_the_picture_and_the_truth_and_add_up() -> None:
    still = _camera(n_objects=4)
    bumped = _camera(CameraBump(30, 6, -4), CameraBump(50, -2, 8), n_objects=4)
    for index, (dx, dy) in ((29, (0, 0)), (45, (6, -4)), (70, (4, 4))):
        expected, shown = still.frame(index).luma, bumped.frame(index).luma
        inner = (slice(10, -10), slice(10, -10))
        moved = np.roll(expected, (dy, dx), axis=(0, 1))
        assert np.abs(shown[inner].astype(int) - moved[inner]).mean() < 5  # noise stays where it was
    inside = (SMALL[0] * 0.2, SMALL[0] * 0.8)
    boxes, moved_boxes = still.truth(70).boxes_xyxy, bumped.truth(70).boxes_xyxy
    assert len(boxes) == len(moved_boxes) > 0
    whole = (boxes[:, 0] > inside[0]) & (boxes[:, 2] < inside[1])
    assert whole.any()
    np.testing.assert_array_equal(moved_boxes[whole], boxes[whole] + np.array([4, 4, 4, 4]))


@pytest.mark.parametrize("covers_s", [1.5, 0.6])
def test_a_truck_fills_most_of_the_picture_for_so_long(covers_s: float) -> None:
    camera = _camera(PassingTruck(20, covers_s))
    empty = camera.frame(19).luma
    is_full, is_truth = [], []
    for index in range(100):
        differs = cv2.absdiff(camera.frame(index).luma, empty) > 12
        is_full.append(
            cv2.morphologyEx(differs.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)).mean() > 0.7
        )
        is_truth.append(list(camera.truth(index).class_ids) == [STREET_6.id_of("truck")])
    assert sum(is_full) == pytest.approx(covers_s * 10, abs=2)
    assert np.flatnonzero(np.diff(is_full)).size == 2  # one stretch
    assert not any(is_truth[:20])
    assert all(true for full, true in zip(is_full, is_truth, strict=True) if full)
    assert not any(is_truth[70:])


def test_a_parked_car_stays_and_leaves() -> None:
    camera = _camera(ParkedCar(10, 70), n_frames=140)
    boxes = {index: camera.truth(index).boxes_xyxy for index in range(140)}
    assert all(len(boxes[index]) == 0 for index in range(10))
    assert (iou_matrix(boxes[45], boxes[69]) == 1).all()
    assert (iou_matrix(boxes[45], boxes[75]) < 1).all()
    assert boxes[75][0, 0] > boxes[69][0, 0] > boxes[20][0, 0]
    assert len(boxes[139]) == 0
    assert [STREET_6[c] for c in camera.truth(45).class_ids] == ["car"]


def test_events_are_part_of_the_identity() -> None:
    hashes = {_camera(*events).info.sha256 for events in ((), (NightSwitch(5),), (NightSwitch(6),), (PassingTruck(5),))}
    assert len(hashes) == 4


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (lambda: NightSwitch(100), r"must be in 0\.\.99"),
        (lambda: CameraBump(-1, 2, 2), r"must be in 0\.\.99"),
        (lambda: ParkedCar(10, 15), "cannot leave before"),
        (lambda: PassingTruck(10, 0.0), "covers_s must be positive"),
    ],
    ids=["after the end", "before the start", "leaves too soon", "no time"],
)
def test_wrong_events(event: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _camera(event())


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("light@20:0.5", LightSwitch(20, 0.5)),
        ("night@3", NightSwitch(3)),
        ("day@4", NightSwitch(4, is_night=False)),
        ("bump@5:-6:7", CameraBump(5, -6, 7)),
        ("truck@8", PassingTruck(8)),
        ("parked@10:90", ParkedCar(10, 90)),
    ],
)
def test_events_as_text(text: str, event: SceneEvent) -> None:
    assert parse_event(text) == event


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no event ''; events: light@FRAME:GAIN, night@FRAME"),
        ("fog@3", "no event 'fog@3'"),
        ("bump@3:4", "'bump@3:4' is not bump@FRAME:RIGHT:DOWN"),
        ("night@", "'night@' is not night@FRAME"),
        ("truck@soon", "'truck@soon' is not truck@FRAME"),
    ],
)
def test_wrong_text(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_event(text)
