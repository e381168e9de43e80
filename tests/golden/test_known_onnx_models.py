"""The four known ONNX detectors on one real frame, against human boxes.

The numbers were measured once; they move when pre- or post-processing does.
"""

from __future__ import annotations

import json

import av
import numpy as np
import pytest

from edge_autotuner.core import iou_matrix, xywh_to_xyxy
from edge_autotuner.core.types import FloatArray, ImageArray
from edge_autotuner.models import OnnxDetector, find_model, locate
from helpers import shared_data

FRAME_INDEX = 42


@pytest.fixture(scope="module")
def scene() -> tuple[ImageArray, FloatArray]:
    """A frame of the PETS clip, and the (T, 4) people in it."""
    truth = json.loads(shared_data("scenes/pets2009_s2l1/gt_coco.json").read_text())
    boxes = [row["bbox"] for row in truth["annotations"] if row["image_id"] == FRAME_INDEX]
    with av.open(str(shared_data("scenes/pets2009_s2l1/vtest.avi"))) as clip:
        for index, frame in enumerate(clip.decode(video=0)):
            if index == FRAME_INDEX:
                return frame.to_ndarray(format="bgr24"), xywh_to_xyxy(np.array(boxes))
    raise AssertionError("the clip is too short")


@pytest.mark.parametrize(
    ("name", "n_people", "mean_iou"),
    [
        pytest.param("deimv2-femto", 6, 0.648, id="deimv2-femto"),
        pytest.param("deimv2-atto", 6, 0.491, id="deimv2-atto"),
        pytest.param("picodet-s", 10, 0.664, id="picodet-s"),
        pytest.param("yolox-nano-onnx", 7, 0.731, id="yolox-nano"),
    ],
)
def test_people_are_found(name: str, n_people: int, mean_iou: float, scene: tuple[ImageArray, FloatArray]) -> None:
    image_bgr, people_xyxy = scene
    spec = find_model(name).detector
    assert spec is not None
    detector = OnnxDetector(locate(name, models_dir=shared_data("models")), spec, n_threads=1)
    found = detector.detect(image_bgr).above(0.3)
    people = found.select(found.class_ids == 0)
    best_iou = iou_matrix(people.boxes_xyxy, people_xyxy).max(axis=0)  # (6,)
    assert (len(people_xyxy), len(people)) == (6, n_people)
    assert float(best_iou.mean()) == pytest.approx(mean_iou, abs=0.005)  # kernels differ between processors
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
