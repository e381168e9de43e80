"""The settings choose the teacher."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edge_autotuner.annotation import RegionTeacher, make_onnx_teacher, open_detector_teacher
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import COCO_80, LabelMap
from edge_autotuner.errors import ConfigError, WeightsError
from edge_autotuner.models.detector_spec import DetectorSpec
from edge_autotuner.models.transformers_folder import read_detector_folder
from support.cameras.plain_scene import LABELS, GreyDetector, boxes_of, paint
from support.runs.tiny_transformers import ARE_INSTALLED, NOT_INSTALLED, RT_DETR, write_folder

SPEC = DetectorSpec("tiny", COCO_80, (64, 64), "stretch", "bgr", "boxes_scores")


def test_zoom_is_the_edge_model() -> None:
    teacher = open_detector_teacher(AnnotationConfig(), LABELS, edge_detector=GreyDetector())
    assert (teacher.name, teacher.labels) == ("zoom", LABELS)
    car = ("car", (20, 20, 60, 50))
    assert boxes_of(teacher.annotate(paint((200, 100), [car]), None).detections) == [car]


@pytest.mark.parametrize(
    ("name", "message"),
    [("zoom", "teacher zoom needs an edge model"), ("femto", "teacher femto needs a model file and an adapter")],
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
        RegionTeacher(GreyDetector(), AnnotationConfig(), labels=LabelMap(("tram",)), name="zoom")


@pytest.mark.skipif(not ARE_INSTALLED, reason=NOT_INSTALLED)
def test_a_folder_of_the_transformers_library_looks_at_views_like_any_other(tmp_path: Path) -> None:
    write_folder(tmp_path / "rt", RT_DETR, LabelMap(("tv", "person", "car")))
    spec = read_detector_folder(tmp_path / "rt").spec
    config = AnnotationConfig(teacher="rt", tile_grid=2, min_score=0.2, uncertain_score=0.05, max_detections=7)
    n_threads = torch.get_num_threads()
    teacher = open_detector_teacher(config, LABELS, model_path=tmp_path / "rt", spec=spec, n_threads=1)
    assert (teacher.name, teacher.labels, teacher.input_size_wh) == ("rt", LABELS, (64, 64))
    answer = teacher.annotate(paint((200, 100), [("car", (20, 20, 60, 50))]), None)
    assert answer.n_calls == 1 + 4
    assert 0 < len(answer.detections) <= 7
    assert answer.detections.scores.min() >= 0.05
    assert torch.get_num_threads() == n_threads
    with pytest.raises(ConfigError, match="the dataset has tram, the teacher tv, person, car"):
        open_detector_teacher(config, LabelMap(("tram",)), model_path=tmp_path / "rt", spec=spec)
