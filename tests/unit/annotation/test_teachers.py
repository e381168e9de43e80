"""The settings choose the teacher."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_autotuner.annotation import make_onnx_teacher, make_zoom_teacher, open_detector_teacher
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import COCO_80, LabelMap
from edge_autotuner.errors import ConfigError, WeightsError
from edge_autotuner.models.detector_spec import DetectorSpec
from plain_scene import LABELS, GreyDetector, boxes_of, paint

SPEC = DetectorSpec("tiny", COCO_80, (64, 64), "stretch", "bgr", "boxes_scores")


def test_zoom_is_the_edge_model() -> None:
    teacher = open_detector_teacher(AnnotationConfig(), LABELS, edge_detector=GreyDetector())
    assert (teacher.name, teacher.labels) == ("zoom", LABELS)
    car = ("car", (20, 20, 60, 50))
    assert boxes_of(teacher.annotate(paint((200, 100), [car]), None).detections) == [car]


@pytest.mark.parametrize(
    ("name", "message"),
    [("zoom", "teacher zoom needs the edge model"), ("femto", "teacher femto needs a model file and an adapter")],
)
def test_what_a_name_needs(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_detector_teacher(AnnotationConfig(teacher=name), LABELS)


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    config = AnnotationConfig(teacher="tiny")
    with pytest.raises(WeightsError):
        open_detector_teacher(config, LABELS, model_path=tmp_path / "no.onnx", spec=SPEC)
    (tmp_path / "bad.onnx").write_bytes(b"text")
    with pytest.raises(WeightsError):
        make_onnx_teacher(tmp_path / "bad.onnx", SPEC, config, LABELS, n_threads=1)


def test_classes_that_the_teacher_lacks() -> None:
    with pytest.raises(ConfigError, match="the dataset has tram, the teacher person, car"):
        make_zoom_teacher(GreyDetector(), AnnotationConfig(), LabelMap(("tram",)))
