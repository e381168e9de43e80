"""A detector that sees painted objects, asked through crops and tiles: each object comes back once and whole."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.annotation import RegionTeacher
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.core.types import ImageArray
from edge_autotuner.errors import ConfigError, TeacherError
from support.cameras.plain_scene import LABELS, GreyDetector, boxes_of, paint

FRAME = (700, 490)  # tiles of 400 x 280, which begin at 300 and 210


def teacher(detector: GreyDetector | None = None, labels: LabelMap = LABELS, **settings: object) -> RegionTeacher:
    config = AnnotationConfig.model_validate(settings)
    return RegionTeacher(detector or GreyDetector(), config, labels=labels, name="grey")


def regions(*boxes: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(boxes, np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param([], id="nothing"),
        pytest.param([("car", (20, 20, 60, 50))], id="in one tile"),
        pytest.param([("car", (380, 100, 460, 150))], id="across the end of a tile"),
        pytest.param([("person", (310, 220, 330, 270))], id="whole in all four tiles"),
        pytest.param([("car", (250, 180, 450, 300))], id="cut by every tile"),
        pytest.param([("car", (0, 0, 50, 40)), ("person", (680, 440, 700, 490))], id="at the border of the frame"),
        pytest.param([("car", (396, 10, 430, 40)), ("car", (290, 60, 302, 90))], id="slivers in the neighbour tile"),
    ],
)
def test_tiles_return_each_object_once_and_whole(objects: list[tuple[str, tuple[int, int, int, int]]]) -> None:
    annotation = teacher().annotate(paint(FRAME, objects), None)
    assert boxes_of(annotation.detections) == sorted(objects)
    assert annotation.looked_xyxy.tolist() == [[0, 0, 700, 490]]
    assert annotation.n_calls == 5
    assert annotation.n_pixels == 700 * 490 + 4 * 400 * 280


def test_tiles_see_what_the_full_frame_is_too_coarse_for() -> None:
    """12 px are 1.7 px at the input of 100 when 700 px are shrunk, and 3 px in a tile of 400."""
    image = paint(FRAME, [("person", (100, 100, 112, 112))])
    small = GreyDetector(min_side_px=2.5)
    assert len(teacher(small, look="full").annotate(image, None).detections) == 0
    assert boxes_of(teacher(small).annotate(image, None).detections) == [("person", (100, 100, 112, 112))]


def test_crops_magnify_and_look_only_there() -> None:
    objects = [("person", (100, 100, 112, 112)), ("car", (600, 400, 640, 430))]
    detector = GreyDetector(min_side_px=6)
    crops = teacher(detector, look="crops", min_crop_px=100)
    annotation = crops.annotate(paint(FRAME, objects), regions((96, 96, 116, 116)))
    assert boxes_of(annotation.detections) == [objects[0]]
    assert annotation.looked_xyxy.tolist() == [[56, 56, 156, 156]]
    assert (annotation.n_calls, annotation.n_pixels) == (1, 10_000)
    assert detector.shapes_seen == [(100, 100, 3)]


def test_object_in_two_crops_comes_back_once() -> None:
    car = ("car", (180, 100, 200, 120))
    crops = teacher(look="crops", min_crop_px=100, crop_margin=0)
    annotation = crops.annotate(paint(FRAME, [car]), regions((100, 60, 210, 130), (170, 90, 280, 200)))
    assert annotation.n_calls == 2, "the crops must not have been joined"
    assert boxes_of(annotation.detections) == [car]


def test_object_that_every_crop_cuts_becomes_uncertain() -> None:
    crops = teacher(look="crops", min_crop_px=100, crop_margin=0)
    annotation = crops.annotate(paint(FRAME, [("car", (80, 120, 220, 150))]), regions((100, 100, 200, 200)))
    assert boxes_of(annotation.detections) == [("car", (100, 120, 200, 150))]
    assert annotation.detections.scores[0] < np.float32(0.3)
    assert annotation.detections.scores[0] == np.nextafter(np.float32(0.3), np.float32(0))


def test_cut_part_of_an_object_that_another_crop_shows_whole_goes() -> None:
    car = ("car", (150, 100, 250, 120))
    crops = teacher(look="crops", min_crop_px=60, crop_margin=0)
    annotation = crops.annotate(paint(FRAME, [car]), regions((140, 50, 260, 130), (100, 90, 200, 250)))
    assert boxes_of(annotation.detections) == [car]
    assert annotation.detections.scores.tolist() == pytest.approx([0.9])


@pytest.mark.parametrize("look", ["tiles", "crops", "full"])
def test_no_regions_no_look(look: str) -> None:
    detector = GreyDetector()
    annotation = teacher(detector, look=look).annotate(paint(FRAME, [("car", (20, 20, 60, 50))]), regions())
    assert (len(annotation.detections), annotation.n_calls, annotation.n_pixels) == (0, 0, 0)
    assert annotation.looked_xyxy.shape == (0, 4)
    assert detector.shapes_seen == []


def test_classes_are_renumbered_and_others_dropped() -> None:
    own = LabelMap(("boat", "car", "person"))
    image = paint(FRAME, [("car", (20, 20, 60, 50)), ("person", (100, 20, 110, 50))])
    annotation = teacher(GreyDetector(labels=own), labels=LabelMap(("car",))).annotate(image, None)
    assert annotation.detections.class_ids.tolist() == [0]
    both = teacher(GreyDetector(labels=own)).annotate(image, None)
    assert boxes_of(both.detections) == [("car", (20, 20, 60, 50)), ("person", (100, 20, 110, 50))]


@pytest.mark.parametrize(("score", "n_kept"), [(0.09, 0), (0.1, 1), (0.3, 1)])
def test_scores_below_the_uncertain_band_go(score: float, n_kept: int) -> None:
    image = paint(FRAME, [("car", (20, 20, 60, 50))])
    assert len(teacher(GreyDetector(score=score)).annotate(image, None).detections) == n_kept


def test_missing_class_lists_both_sides() -> None:
    with pytest.raises(ConfigError, match=r"classes bus: the dataset has car, bus, the teacher person, car"):
        teacher(labels=LabelMap(("car", "bus")))


def test_looking_changes_only_the_look() -> None:
    crops = teacher(look="crops", min_crop_px=60)
    tiles = crops.looking("tiles")
    image = paint(FRAME, [("car", (20, 20, 60, 50))])
    assert tiles.annotate(image, regions((1, 1, 9, 9))).n_calls == 5
    assert (tiles.name, tiles.labels) == (crops.name, crops.labels)
    assert tiles.input_size_wh == crops.input_size_wh == GreyDetector().input_size_wh
    assert crops.annotate(image, regions((20, 20, 60, 50))).n_calls == 1


def test_numbers_that_are_not_finite_are_an_error() -> None:
    class Broken(GreyDetector):
        def detect(self, image_bgr: ImageArray) -> Detections:
            return Detections(np.array([[0, 0, np.nan, 5]]), np.array([0.9]), np.array([0]))

    with pytest.raises(TeacherError, match="teacher grey returned a box that is not finite"):
        teacher(Broken()).annotate(paint(FRAME, []), None)


def test_limit_of_detections() -> None:
    objects = [("person", (10 + 20 * i, 10, 20 + 20 * i, 40)) for i in range(10)]
    image = paint(FRAME, objects)  # type: ignore[arg-type]
    assert len(teacher(max_detections=4).annotate(image, None).detections) == 4
