"""Scores networks on the two test cameras against human boxes, full frame, as `benchmarks/scenes.py` says."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.scenes import NGSIM, PETS, Scene
from edge_autotuner.capture import open_source
from edge_autotuner.core import STREET_6
from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset import DatasetStore, load_coco_truth
from edge_autotuner.evaluation import ClassMerge, Scores, Truth, merge_classes, score_detections, truth_from_annotation
from edge_autotuner.models import Yolox
from edge_autotuner.models.torch_detector import TorchDetector

_INPUT_SIZE = (416, 416)


def score_on_test_cameras(networks: Mapping[str, Yolox], data: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Return camera -> network -> {"ap50", "ap"}."""
    return {scene.name: _score(networks, data, scene) for scene in (PETS, NGSIM)}


def score_unseen(
    networks: Mapping[str, Yolox], held_out: Mapping[str, DatasetStore], data: Path, min_score: float
) -> dict[str, dict[str, dict[str, tuple[float, float]]]]:
    """Return network -> clip -> class -> AP50 and AP50:95: what settings may be chosen by.

    Held-out clips are scored against the teacher's labels, vehicles as one class; the part of PETS that is never
    tested on (every 12th frame of 0-499) against human boxes.
    """
    merge = merge_classes(STREET_6, {"bus": "car", "truck": "car"})
    pictures = {name: _labelled_by_teacher(store, merge, min_score) for name, store in held_out.items()}
    pictures["PETS 0-499"] = _early_pets(data)
    return {
        network_name: {
            name: {c: (round(s.ap50, 3), round(s.ap, 3)) for c, s in _scores(network, pairs, merge).per_class.items()}
            for name, pairs in pictures.items()
        }
        for network_name, network in networks.items()
    }


def _labelled_by_teacher(store: DatasetStore, merge: ClassMerge, min_score: float) -> list[tuple[ImageArray, Truth]]:
    records = store.frames("train")
    records = records[:: max(1, len(records) // 40)]
    pairs = [(record, store.annotation_of(record)) for record in records]
    return [
        (store.read_image(record), merge.truth(truth_from_annotation(annotation, min_score=min_score)))
        for record, annotation in pairs
        if annotation is not None
    ]


def _early_pets(data: Path) -> list[tuple[ImageArray, Truth]]:
    truth = load_coco_truth(data / PETS.ground_truth, labels=STREET_6, map_classes={})
    found = []
    for frame in open_source(data / PETS.source).frames():
        boxes = truth.for_frame(frame.index, None)
        if frame.index < 500 and frame.index % 12 == 0 and boxes is not None:
            found.append((frame.image_bgr, Truth(*boxes)))
    return found


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
    scores = {name: _scores(network, pictures, merge) for name, network in networks.items()}
    return {name: {"ap50": round(s.ap50, 4), "ap": round(s.ap, 4)} for name, s in scores.items()}


def _scores(network: Yolox, pictures: Sequence[tuple[ImageArray, Truth]], merge: ClassMerge) -> Scores:
    detector = TorchDetector(network, STREET_6, _INPUT_SIZE)
    detections = [merge.detections(detector.detect(image)) for image, _ in pictures]
    return score_detections(detections, [truth for _, truth in pictures], merge.labels)
