"""The description of a detector survives a JSON file, and mistakes in one are named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_autotuner.core import COCO_80, LabelMap
from edge_autotuner.errors import ModelBundleError
from edge_autotuner.models import DetectorSpec, list_models

SPEC = DetectorSpec(
    "tiny", LabelMap(("person", "car")), (64, 32), "letterbox", "rgb", "yolox",
    scale=0.5, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0), nms_iou=0.6,
)  # fmt: skip


def test_json_round_trip_is_exact() -> None:
    assert DetectorSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC


def test_every_known_onnx_model_survives_json() -> None:
    specs = [model.detector for model in list_models() if model.detector]
    assert len(specs) == 4
    for spec in specs:
        assert DetectorSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_json_is_plain() -> None:
    assert SPEC.to_json() == {
        "name": "tiny",
        "labels": ["person", "car"],
        "input_size_wh": (64, 32),
        "resize": "letterbox",
        "colour": "rgb",
        "decode": "yolox",
        "scale": 0.5,
        "mean": (1.0, 2.0, 3.0),
        "std": (4.0, 5.0, 6.0),
        "nms_iou": 0.6,
        "pad_value": 114,
    }


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        pytest.param("name", 3, "name must be text", id="name"),
        pytest.param("labels", "person", "labels must be names", id="labels-text"),
        pytest.param("labels", [], "labels must be at least one class", id="labels-empty"),
        pytest.param("labels", ["a", "a"], "class names must be unique", id="labels-twice"),
        pytest.param("input_size_wh", [64], "input_size_wh must be a list of 2", id="size-short"),
        pytest.param("input_size_wh", [64.5, 32], "input_size_wh must be a list of 2", id="size-fraction"),
        pytest.param("input_size_wh", [0, 32], "two sides of 1 to 8192", id="size-zero"),
        pytest.param("input_size_wh", [64, 100000], "two sides of 1 to 8192", id="size-huge"),
        pytest.param("resize", "crop", "resize must be one of stretch, letterbox", id="resize"),
        pytest.param("colour", "grey", "colour must be one of bgr, rgb", id="colour"),
        pytest.param("decode", "ssd", "decode must be one of deim, picodet, yolox, boxes_scores", id="decode"),
        pytest.param("scale", "1", "scale must be a number", id="scale-text"),
        pytest.param("scale", 0, "scale must be a positive number", id="scale-zero"),
        pytest.param("scale", float("nan"), "scale must be a number, got nan", id="scale-nan"),
        pytest.param("scale", 10**400, "scale must be a number", id="scale-huge"),
        pytest.param("scale", True, "scale must be a number", id="scale-bool"),
        pytest.param("mean", [0, 0], "mean must be a list of 3 numbers", id="mean-short"),
        pytest.param("mean", [0, 0, float("inf")], "mean must be a list of 3 numbers", id="mean-inf"),
        pytest.param("std", [1, 0, 1], "std must be three positive numbers", id="std-zero"),
        pytest.param("nms_iou", 1.5, "nms_iou must be a number in (0, 1] or null", id="nms-range"),
        pytest.param("nms_iou", "x", "nms_iou must be a number", id="nms-text"),
        pytest.param("pad_value", 256, "pad_value must be a grey level", id="pad"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: Any, message: str) -> None:
    with pytest.raises(ModelBundleError) as caught:
        DetectorSpec.from_json({**SPEC.to_json(), "labels": ["person", "car"], key: value})
    assert message in str(caught.value)


def test_missing_and_unknown_keys_are_named() -> None:
    values = SPEC.to_json()
    del values["std"]
    with pytest.raises(ModelBundleError, match="missing std"):
        DetectorSpec.from_json(values)
    with pytest.raises(ModelBundleError, match="unknown colours"):
        DetectorSpec.from_json({**SPEC.to_json(), "colours": 1})
    with pytest.raises(ModelBundleError, match="expected keys and values, got list"):
        DetectorSpec.from_json([])


def test_a_programmers_mistake_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="pad_value"):
        DetectorSpec("x", COCO_80, (64, 64), "stretch", "bgr", "deim", pad_value=-1)
