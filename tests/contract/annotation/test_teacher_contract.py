"""What every teacher must do, however it looks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_autotuner.annotation import EnsembleTeacher, MirroredTeacher, PrivacyFilter, ProtectedTeacher, RegionTeacher
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.config.run import PrivacyConfig
from edge_autotuner.core import Annotation, Scene, Teacher
from support.cameras.plain_scene import LABELS, GreyDetector, TogetherDetector, paint

OBJECTS = [("car", (20, 20, 60, 50)), ("person", (200, 100, 215, 140))]
REGIONS = np.array([[10, 10, 70, 60], [190, 90, 230, 150]], np.float32)


LOOKS = ("tiles", "crops", "full")


KINDS = ("one by one", "together", "ensemble", "behind a filter", "mirrored")


@pytest.fixture(params=[f"{kind}, {look}" for kind in KINDS for look in LOOKS])
def teacher(request: pytest.FixtureRequest) -> Teacher:
    kind, look = request.param.split(", ")
    detector = TogetherDetector() if kind == "together" else GreyDetector()
    zoom = RegionTeacher(detector, AnnotationConfig(look=look), labels=LABELS, name="zoom")
    if kind == "behind a filter":
        return ProtectedTeacher(zoom, PrivacyFilter(PrivacyConfig(), AnnotationConfig(look=look), None))
    if kind == "mirrored":
        return MirroredTeacher(zoom)
    if kind != "ensemble":
        return zoom
    other = RegionTeacher(GreyDetector(score=0.6), AnnotationConfig(look=look), labels=LABELS, name="zoom")
    return EnsembleTeacher([zoom, other], AnnotationConfig(look=look, teacher="a,b"), labels=LABELS)


def same(a: Annotation, b: Annotation) -> bool:
    is_same = a.detections.equals(b.detections) and np.array_equal(a.looked_xyxy, b.looked_xyxy)
    return is_same and (a.n_calls, a.n_pixels) == (b.n_calls, b.n_pixels)


def test_is_a_teacher(teacher: Teacher) -> None:
    assert isinstance(teacher, Teacher)
    assert teacher.name
    assert teacher.labels == LABELS
    assert teacher.input_size_wh == (100, 100)


@pytest.mark.parametrize("look", LOOKS)
def test_another_way_to_look_is_another_teacher(teacher: Teacher, look: Any) -> None:
    image = paint((300, 200), OBJECTS)  # type: ignore[arg-type]
    before = teacher.annotate(image, REGIONS)
    other = teacher.looking(look)
    assert (other.name, other.labels) == (teacher.name, teacher.labels)
    assert same(other.looking(look).annotate(image, REGIONS), other.annotate(image, REGIONS))
    assert same(teacher.annotate(image, REGIONS), before), "the teacher itself stays as it was"


def test_a_scene_that_hides_nothing_changes_nothing(teacher: Teacher) -> None:
    image = paint((300, 200), OBJECTS)  # type: ignore[arg-type]
    scene = Scene(REGIONS, lambda: image[:, :, 0])
    assert same(teacher.annotate(image, REGIONS, scene=scene), teacher.annotate(image, REGIONS))


@pytest.mark.parametrize("regions", [None, REGIONS, REGIONS[:1]])
def test_repeatable_and_inputs_untouched(teacher: Teacher, regions: np.ndarray | None) -> None:
    image = paint((300, 200), OBJECTS)  # type: ignore[arg-type]
    image.flags.writeable = False
    before = None if regions is None else regions.copy()
    assert same(teacher.annotate(image, regions), teacher.annotate(image, regions))
    if before is not None:
        np.testing.assert_array_equal(regions, before)


@pytest.mark.parametrize("regions", [None, REGIONS])
def test_answer_is_well_formed(teacher: Teacher, regions: np.ndarray | None) -> None:
    annotation = teacher.annotate(paint((300, 200), OBJECTS), regions)  # type: ignore[arg-type]
    found = annotation.detections
    assert len(found) == 2
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.boxes_xyxy >= 0) & (found.boxes_xyxy <= [300, 200, 300, 200])).all()
    assert (found.boxes_xyxy[:, 2:] > found.boxes_xyxy[:, :2]).all()
    assert set(found.class_ids.tolist()) <= {0, 1}
    assert annotation.n_calls > 0
    assert annotation.n_pixels > 0


def test_nothing_to_look_at_and_nothing_there(teacher: Teacher) -> None:
    image = paint((300, 200), OBJECTS)  # type: ignore[arg-type]
    assert same(teacher.annotate(image, np.zeros((0, 4), np.float32)), Annotation.nothing_seen())
    assert len(teacher.annotate(paint((300, 200), []), None).detections) == 0
    assert len(teacher.annotate(paint((1, 1), []), None).detections) == 0


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("tile_grid", [1, 2, 6])
def test_views_that_travel_together_give_the_same_answer(look: Any, tile_grid: int) -> None:
    """36 tiles and the frame are more than go together at once."""
    config = AnnotationConfig(look=look, tile_grid=tile_grid)
    one_by_one, together = GreyDetector(), TogetherDetector()
    image = paint((300, 200), OBJECTS)  # type: ignore[arg-type]
    for regions in (None, REGIONS, REGIONS[:0]):
        answers = [
            RegionTeacher(d, config, labels=LABELS, name="zoom").annotate(image, regions)
            for d in (one_by_one, together)
        ]
        assert same(*answers)
    assert together.shapes_seen == one_by_one.shapes_seen
    assert sum(together.n_together) == len(together.shapes_seen)
    assert max(together.n_together) <= 16
    if (look, tile_grid) == ("tiles", 6):
        assert together.n_together[:3] == [16, 16, 5]
