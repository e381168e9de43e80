"""The ONNX detector with a model whose answer is known, and with files that are no such model."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.core import COCO_80, Detector
from edge_autotuner.errors import ConfigError, WeightsError
from edge_autotuner.models import OnnxDetector, describe_onnx
from edge_autotuner.models.onnx_detector import open_session
from unit.models.tiny_onnx import SPEC, constant_model

PICTURE = np.zeros((64, 128, 3), np.uint8)


def test_boxes_come_back_in_the_pictures_pixels(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(constant_model())
    for model in (path, constant_model()):
        found = OnnxDetector(model, SPEC, n_threads=1).detect(PICTURE)
        assert found.boxes_xyxy.tolist() == [[32, 16, 64, 48]]
        assert found.scores == pytest.approx([0.9])
        assert found.class_ids.tolist() == [1]


def test_it_is_a_detector() -> None:
    detector = OnnxDetector(constant_model(), SPEC)
    assert isinstance(detector, Detector)
    assert detector.labels.names == ("person", "car")
    assert detector.input_size_wh == (32, 32)
    assert detector.spec == SPEC


def test_score_and_number_of_boxes_are_limited() -> None:
    assert len(OnnxDetector(constant_model(), SPEC, min_score=0.01).detect(PICTURE)) == 2
    assert len(OnnxDetector(constant_model(), SPEC, min_score=0.01, max_detections=1).detect(PICTURE)) == 1
    assert len(OnnxDetector(constant_model(), SPEC, min_score=0.95).detect(PICTURE)) == 0


def test_only_the_cores_that_the_process_may_use_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert open_session(constant_model(), "tiny").get_session_options().intra_op_num_threads == 1
    assert open_session(constant_model(), "tiny", n_threads=3).get_session_options().intra_op_num_threads == 3


def test_a_wrong_picture_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"shape \(H, W, 3\), got \(4, 4\)"):
        OnnxDetector(constant_model(), SPEC).detect(np.zeros((4, 4), np.uint8))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"tiny: there is no file .*gone\.onnx"):
        OnnxDetector(tmp_path / "gone.onnx", SPEC)


@pytest.mark.parametrize("content", [b"", b"not a model", constant_model()[:80]], ids=["empty", "text", "cut"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"bad.onnx is not a usable ONNX model: .+"):
        OnnxDetector(path, SPEC)


def test_a_spec_of_another_model_is_refused() -> None:
    with pytest.raises(
        WeightsError, match=r"expected an input of shape \[1, 3, 64, 64\], the model has \[1, 3, 32, 32"
    ):
        OnnxDetector(constant_model(), replace(SPEC, input_size_wh=(64, 64)))
    with pytest.raises(WeightsError, match="'deim' has 2 inputs, the model has 1"):
        OnnxDetector(constant_model(), replace(SPEC, decode="deim"))
    with pytest.raises(WeightsError, match="does not work as 'boxes_scores': scores: expected shape"):
        OnnxDetector(constant_model(), replace(SPEC, labels=COCO_80)).detect(PICTURE)


def test_an_unknown_file_is_described_by_its_family(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(constant_model())
    spec = describe_onnx(path, "yolox")
    assert (spec.name, spec.input_size_wh, spec.resize, spec.decode) == ("mine", (32, 32), "letterbox", "yolox")


def test_a_description_needs_a_known_family_and_a_fixed_size(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(constant_model("side"))
    with pytest.raises(ConfigError, match=r"set --adapter to one of deim, picodet, yolox"):
        describe_onnx(path, None)
    with pytest.raises(ConfigError, match="unknown adapter 'ssd'; known adapters: deim, picodet, yolox"):
        describe_onnx(path, "ssd")
    with pytest.raises(WeightsError, match="with a fixed size, got"):
        describe_onnx(path, "yolox")
