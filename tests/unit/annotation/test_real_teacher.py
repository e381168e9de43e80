"""The best public teacher at hand, on two real frames against human boxes."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from edge_autotuner.annotation import make_onnx_teacher
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import LabelMap, iou_matrix
from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset import load_coco_truth
from edge_autotuner.models.catalogue import find_model
from helpers import shared_data

FRAMES = (0, 60)


def read_frames(path: Path, indices: tuple[int, ...]) -> dict[int, ImageArray]:
    with av.open(str(path)) as container:
        return {
            index: frame.to_ndarray(format="bgr24")
            for index, frame in zip(range(max(indices) + 1), container.decode(video=0), strict=False)
            if index in indices
        }


def test_tiled_femto_finds_the_people_of_pets() -> None:
    labels = LabelMap(("person",))
    model = shared_data("models/deimv2_femto_416/deimv2_femto.onnx")
    truth = load_coco_truth(shared_data("scenes/pets2009_s2l1/gt_coco.json"), labels=labels, map_classes={})
    images = read_frames(shared_data("scenes/pets2009_s2l1/vtest.avi"), FRAMES)
    spec = find_model("deimv2-femto").detector
    assert spec is not None
    config = AnnotationConfig()
    teacher = make_onnx_teacher(model, spec, config, labels, n_threads=1)
    n_found = n_truths = 0
    for index, image in images.items():
        known = truth.for_frame(index, None)
        assert known is not None
        found = teacher.annotate(image, None).detections.above(config.min_score)
        best = iou_matrix(known[0], found.boxes_xyxy).max(axis=1, initial=0.0)
        n_found += int(np.count_nonzero(best >= 0.5))
        n_truths += len(known[0])
    assert n_truths == 9
    assert n_found >= 8  # measured: all 9; one less leaves room for another version of the runtime
