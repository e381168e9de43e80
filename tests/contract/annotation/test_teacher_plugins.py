"""Every teacher of an installed distribution, the same expectations; the example package stands for those to come."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edge_autotuner.annotation import RegionTeacher, is_plugin_teacher, open_plugin_teacher
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Detector, Teacher
from edge_autotuner.core.plugins import TEACHERS
from support.machine.installed_plugin import NAME as EXAMPLE
from support.machine.installed_plugin import installed_example

NAMES = [name for name in TEACHERS.names if name not in TEACHERS.reserved]
PICTURE = np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)
BOXES = np.array([[10, 10, 70, 60]], np.float32)


@pytest.fixture(scope="module", autouse=True)
def _example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with installed_example(tmp_path_factory.mktemp("example") / "site"):
        yield


@pytest.fixture(params=[*NAMES, EXAMPLE])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def detector(name: str) -> Detector:
    found, version = TEACHERS.load(name)("", AnnotationConfig(teacher=name), n_threads=1)
    assert isinstance(version, str)
    assert isinstance(found, Detector)
    return found


def opened(name: str) -> tuple[RegionTeacher, str]:
    return open_plugin_teacher(AnnotationConfig(teacher=name), lambda known: known, n_threads=1)


def test_is_told_from_files_and_known_models(name: str) -> None:
    assert is_plugin_teacher(name)
    assert is_plugin_teacher(f"{name}:anything")
    assert not any(map(is_plugin_teacher, ("zoom", "remote:x", "yolox-tiny", "street-nano", "nobody", "", ".")))


def test_detections_are_well_formed(detector: Detector) -> None:
    for picture in (PICTURE, np.zeros((1, 1, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)):
        found = detector.detect(picture)
        height, width = picture.shape[:2]
        assert ((found.boxes_xyxy >= 0) & (found.boxes_xyxy <= [width, height, width, height])).all()
        assert (np.diff(found.scores) <= 0).all()
        assert set(found.class_ids.tolist()) <= set(range(len(detector.labels)))
    assert min(detector.input_size_wh) > 0


def test_repeatable_and_the_picture_is_untouched(name: str) -> None:
    picture = PICTURE.copy()
    picture.flags.writeable = False
    (first, version), (again, version_again) = opened(name), opened(name)
    for regions in (None, BOXES):
        a, b = first.annotate(picture, regions), again.annotate(picture, regions)
        np.testing.assert_array_equal(a.detections.boxes_xyxy, b.detections.boxes_xyxy)
        np.testing.assert_array_equal(a.detections.scores, b.detections.scores)
    assert version == version_again != ""


def test_is_a_teacher(name: str) -> None:
    teacher, _ = opened(name)
    assert isinstance(teacher, Teacher)
    assert teacher.name == name
    assert len(teacher.annotate(PICTURE, BOXES[:0]).detections) == 0
