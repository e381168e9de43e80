"""A bundle runs, and one whose model is not the described one says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.deployment import load_edge_detector
from edge_autotuner.errors import ModelBundleError
from unit.deployment.test_bundle import made
from unit.models.tiny_onnx import SPEC, constant_model


def test_a_bundle_detects(tmp_path: Path) -> None:
    made(tmp_path / "b")
    found = load_edge_detector(tmp_path / "b", n_threads=1).detect(np.zeros((64, 128, 3), np.uint8))
    assert found.boxes_xyxy.tolist() == [[32, 16, 64, 48]]
    assert found.scores == pytest.approx([0.9])
    low = load_edge_detector(tmp_path / "b", min_score=0.01, max_detections=5)
    assert len(low.detect(np.zeros((64, 128, 3), np.uint8))) == 2


UNRUNNABLE = constant_model().replace(b"ReduceMax", b"NoSuchNod")


def test_what_is_no_model_makes_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ModelBundleError, match="is not a usable ONNX model"):
        made(tmp_path / "b", model=b"no model")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"model": UNRUNNABLE}, "is not a usable ONNX model", id="model"),
        pytest.param({"detector": replace(SPEC, input_size_wh=(64, 32))}, "expected an input of shape", id="size"),
    ],
)
def test_a_model_that_does_not_run_is_a_bundle_error(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    made(tmp_path / "b", **changes)
    with pytest.raises(ModelBundleError, match=message):
        load_edge_detector(tmp_path / "b")
