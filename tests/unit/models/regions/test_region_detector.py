"""Objects of a fixed camera that move, stop, are hidden and leave, as a model sees them that knows no small ones."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import pytest

from edge_autotuner.capture import MotionGate
from edge_autotuner.config import BackgroundConfig, MotionConfig
from edge_autotuner.config.feeding import FeedingConfig
from edge_autotuner.core import Detections, DetectorBase, Frame, LabelMap, MotionResult, iou_matrix
from edge_autotuner.core.types import ImageArray
from edge_autotuner.models.regions import (
    ModeChoice,
    MovingThings,
    RegionDetector,
    RegionFindings,
    detect_once,
    moving_things,
)

SIZE_WH = (640, 360)
INPUT_WH = (160, 160)
RATE_HZ = 10
BACKGROUND = BackgroundConfig(n_frames=5, every_k_frames=3, n_backgrounds=3)
N_EMPTY = 24  # frames at the start, in which the background is learned
REGIONS = FeedingConfig(mode="regions", object_px=32, full_frame_every_s=2)


class RedDetector(DetectorBase):
    """Finds red rectangles that are at least 8 pixels wide in its input."""

    labels = LabelMap(("car",))
    input_size_wh = INPUT_WH

    def __init__(self) -> None:
        self.n_calls = 0

    def detect(self, image_bgr: ImageArray) -> Detections:
        self.n_calls += 1
        height, width = image_bgr.shape[:2]
        scale = min(INPUT_WH[0] / width, INPUT_WH[1] / height)
        red = (image_bgr[..., 2].astype(int) - image_bgr[..., 0] > 80).astype(np.uint8)
        outlines, _ = cv2.findContours(red, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        boxes = [(x, y, x + w, y + h) for x, y, w, h in map(cv2.boundingRect, outlines) if w * scale >= 8]
        return Detections(np.array(boxes), np.full(len(boxes), 0.9), np.zeros(len(boxes), int))


def picture(*cars_xy: tuple[int, int], person: bool = False, side: int = 16) -> ImageArray:
    """Return a grey road with red cars; a person may stand in the middle of a car at (300, 100)."""
    image = np.full((SIZE_WH[1], SIZE_WH[0], 3), 120, np.uint8)
    for x, y in cars_xy:
        image[y : y + side, x : x + side] = (10, 10, 250)
    if person:
        image[90:130, 290:330] = (250, 250, 250)
    return image


def watch(
    pictures: Iterable[ImageArray], detector: RedDetector, feeding: FeedingConfig = REGIONS
) -> list[RegionFindings]:
    """Return what is found in each picture, ten per second."""
    gate = MotionGate(MotionConfig(), BACKGROUND)
    regions = RegionDetector(detector, feeding)
    findings = []
    for index, image in enumerate(pictures):
        frame = Frame(index, index / RATE_HZ, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), lambda image=image: image)
        findings.append(regions.detect(frame, gate.look(frame)))
    return findings


def finds(findings: RegionFindings, *cars_xy: tuple[int, int], side: int = 16) -> bool:
    """Whether exactly these cars were found, each once."""
    truth = np.array([(x, y, x + side, y + side) for x, y in cars_xy], np.float32).reshape(-1, 4)
    overlaps = iou_matrix(findings.detections.boxes_xyxy, truth)
    return overlaps.shape == (len(truth), len(truth)) and bool((overlaps.max(axis=0, initial=0) > 0.6).all())


def test_a_moving_object_that_is_too_small_in_the_whole_frame_is_found() -> None:
    cars = [[]] * N_EMPTY + [[(40 + 8 * i, 100)] for i in range(30)]
    found = watch([picture(*car) for car in cars], RedDetector())
    assert all(finds(one, *car) for one, car in zip(found[N_EMPTY + 2 :], cars[N_EMPTY + 2 :], strict=True))
    whole = watch([picture(*car) for car in cars], RedDetector(), FeedingConfig())
    assert all(len(one.detections) == 0 for one in whole)


def test_the_model_runs_once_per_frame_with_motion_and_once_more_now_and_then() -> None:
    cars = [[]] * N_EMPTY + [[(40 + 8 * i, 100)] for i in range(40)]
    found = watch([picture(*car) for car in cars], RedDetector())
    assert sum(one.n_looks for one in found[N_EMPTY:]) <= 40 + 3
    assert {one.n_looks for one in found[N_EMPTY + 2 :]} == {1, 2}


def test_without_motion_the_model_rests_between_whole_frames() -> None:
    detector = RedDetector()
    found = watch([picture()] * 84, detector)
    assert sum(one.n_looks for one in found[N_EMPTY:]) == 3
    assert detector.n_calls == sum(one.n_looks for one in found)


def test_a_car_that_stops_does_not_vanish() -> None:
    way = [(40 + 8 * min(i, 32), 100) for i in range(150)]
    found = watch([picture()] * N_EMPTY + [picture(xy) for xy in way], RedDetector())[N_EMPTY:]
    assert all(finds(one, xy) for one, xy in zip(found[3:], way[3:], strict=True))
    assert found[-1].n_remembered == 1 or found[-1].n_cells == 1


def test_a_car_that_stands_may_be_hidden_for_a_while() -> None:
    stop = (300, 100)
    way = [(44 + 8 * min(i, 32), 100) for i in range(80)]
    assert way[-1] == stop
    pictures = [picture()] * N_EMPTY + [picture(xy) for xy in way]
    found = watch([*pictures, *[picture(stop, person=True)] * 6, *[picture(stop)] * 6], RedDetector())
    assert all(finds(one) for one in found[-11:-6])
    assert all(finds(one, stop) for one in found[-4:])


def test_a_car_that_leaves_is_forgotten_at_once() -> None:
    way = [(44 + 8 * min(i, 32), 100) for i in range(80)] + [(300 + 10 * i, 100) for i in range(1, 20)]
    found = watch([picture()] * N_EMPTY + [picture(xy) for xy in way], RedDetector())[N_EMPTY:]
    assert all(finds(one, xy) for one, xy in zip(found[84:], way[84:], strict=True))


def test_what_stands_is_forgotten_when_nothing_finds_it_any_more() -> None:
    way = [(44 + 8 * min(i, 32), 100) for i in range(80)]
    pale = picture()
    pale[100:116, 300:316] = (90, 90, 90)  # as bright as the car, but the model does not know it
    found = watch([picture()] * N_EMPTY + [picture(xy) for xy in way] + [pale] * 120, RedDetector())
    assert len(found[-1].detections) == 0


def test_large_objects_are_looked_at_in_whole_frames() -> None:
    cars = [[]] * N_EMPTY + [[(40 + 8 * i, 60)] for i in range(20)]
    found = watch([picture(*car, side=240) for car in cars], RedDetector())
    assert all(
        one.n_cells == 0 and finds(one, *car, side=240)
        for one, car in zip(found[N_EMPTY + 2 :], cars[N_EMPTY + 2 :], strict=True)
    )


def test_auto_changes_to_regions_when_what_moves_is_small() -> None:
    cars = [[]] * N_EMPTY + [[(20 + 4 * i, 100), (20 + 4 * i, 200)] for i in range(100)]
    auto = FeedingConfig(mode="auto", object_px=32)
    gate = MotionGate(MotionConfig(), BACKGROUND)
    regions = RegionDetector(RedDetector(), auto)
    assert regions.explanation.startswith("full, until 100")
    for index, car in enumerate(cars):
        image = picture(*car)
        frame = Frame(index, index / RATE_HZ, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), lambda image=image: image)
        found = regions.detect(frame, gate.look(frame))
    assert regions.explanation.startswith("regions: half of what moves is at most")
    assert finds(found, *cars[-1])


@pytest.mark.parametrize(("side", "is_doubtful"), [(2, False), (90, True)])
def test_regions_that_are_set_where_objects_are_large_are_doubtful(side: int, is_doubtful: bool) -> None:
    choice = ModeChoice(FeedingConfig(mode="regions"), (160, 160))
    assert (choice.explanation, choice.is_doubtful) == ("regions, as set", False)
    boxes = np.array([[9, 9, 9 + side, 9 + side]] * 100, np.float32)
    choice.see(MovingThings.of_boxes(boxes), (320, 320))
    assert choice.is_doubtful is is_doubtful
    assert choice.mode == "regions"
    assert choice.explanation.startswith("regions, as set: half of what moves is at most")


def test_frames_of_another_time_or_size_start_anew() -> None:
    regions = RegionDetector(RedDetector(), REGIONS)
    image = picture((300, 100), side=60)
    still = MotionResult(
        np.zeros((0, 4), np.float32), 0.0, np.zeros((45, 80), bool), np.zeros((45, 80), np.uint8), np.zeros((45, 80))
    )
    for time_s in (0.0, 0.5, 2.5, 2.6):
        found = regions.detect(Frame(0, time_s, image[..., 0], lambda: image), still)
    assert (found.n_looks, found.n_remembered) == (0, 1)
    found = regions.detect(Frame(0, 0.1, image[..., 0], lambda: picture()), still)
    assert (found.n_looks, len(found.detections)) == (1, 0)
    small = image[:180]
    assert regions.detect(Frame(0, 0.2, small[..., 0], lambda: small), still).n_looks == 1


def test_without_a_background_whole_frames_are_looked_at() -> None:
    detector = RedDetector()
    regions = RegionDetector(detector, REGIONS)
    image = picture((300, 100), side=60)
    for time_s in (0.0, 0.1):
        assert finds(regions.detect(Frame(0, time_s, image[..., 0], lambda: image), None), (300, 100), side=60)
    assert detector.n_calls == 2


def test_a_single_frame_is_looked_at_as_a_whole_and_in_regions() -> None:
    image = picture((300, 100))
    image[200:260, 40:100] = (10, 10, 250)
    things = MovingThings.of_boxes(np.array([[300, 100, 316, 116]], np.float32))
    assert len(detect_once(RedDetector(), image, things, REGIONS)) == 2
    assert len(detect_once(RedDetector(), image, MovingThings.of_boxes(np.zeros((0, 4))), REGIONS)) == 1


@pytest.mark.parametrize("n_areas", [0, 3])
def test_the_largest_connected_change_tells_the_size(n_areas: int) -> None:
    mask = np.zeros((90, 160), bool)
    areas = np.array([[0, 0, 80, 40], [200, 100, 280, 180], [400, 200, 480, 280]], np.float32)[:n_areas]
    mask[2:7, 2:7] = mask[2:8, 12:18] = True  # two cars in the first area
    mask[25:45, 50:70] = True
    luma = np.zeros(mask.shape, np.uint8)
    motion = MotionResult(areas, 0.1, mask, luma, luma, areas_xyxy=areas)
    np.testing.assert_allclose(moving_things(motion, SIZE_WH).sizes, [24, 80, 80][:n_areas])


def test_areas_and_sizes_must_fit() -> None:
    with pytest.raises(ValueError, match="2 areas, but 1 sizes"):
        MovingThings(np.zeros((2, 4)), np.ones(1))
