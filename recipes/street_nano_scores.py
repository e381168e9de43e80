"""Scores networks on the two test cameras against human boxes, full frame, as `benchmarks/scenes.py` says."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.scenes import NGSIM, PETS, Scene
from edge_autotuner.capture import open_source
from edge_autotuner.core import STREET_6
from edge_autotuner.dataset import load_coco_truth
from edge_autotuner.evaluation import Truth, merge_classes, score_detections
from edge_autotuner.models import Yolox
from edge_autotuner.models.torch_detector import TorchDetector

_INPUT_SIZE = (416, 416)


def score_on_test_cameras(networks: Mapping[str, Yolox], data: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Return camera -> network -> {"ap50", "ap"}."""
    return {scene.name: _score(networks, data, scene) for scene in (PETS, NGSIM)}


def _score(networks: Mapping[str, Yolox], data: Path, scene: Scene) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        path = scene.write_truth(data, Path(folder) / "truth.json")
        truth = load_coco_truth(path, labels=STREET_6, map_classes=scene.map_classes)
    merge = merge_classes(STREET_6, scene.map_classes)
    pictures = []
    for frame in open_source(data / scene.scored_source).frames():
        boxes = truth.for_frame(frame.index, frame.file_name)
        if boxes is not None:
            pictures.append((frame.image_bgr, merge.truth(Truth(*boxes))))
    scores = {}
    for name, network in networks.items():
        detector = TorchDetector(network, STREET_6, _INPUT_SIZE)
        detections = [merge.detections(detector.detect(image)) for image, _ in pictures]
        result = score_detections(detections, [truth for _, truth in pictures], merge.labels)
        scores[name] = {"ap50": round(result.ap50, 4), "ap": round(result.ap, 4)}
    return scores
