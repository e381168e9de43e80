"""Scores any model on the test pictures of any camera by the protocol of `benchmarks/scenes.py`."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scenes import Scene
from benchmarks.specialization.cameras import HIGHWAY, MOTORWAY, labelled_clip
from benchmarks.specialization.trial import Trial
from benchmarks.specialization.workplace import Finished, Workplace
from edge_autotuner.capture import VideoFile
from edge_autotuner.config import RunConfig
from edge_autotuner.core import STREET_6, Detections, Detector, LabelMap
from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset import DatasetStore, load_coco_truth
from edge_autotuner.evaluation import (
    Scores,
    Truth,
    merge_classes,
    merges_among,
    score_detections,
    truth_from_annotation,
)
from edge_autotuner.models import nms_per_class
from edge_autotuner.models.trainable import NMS_IOU
from edge_autotuner.models.trainable_weights import load_network
from edge_autotuner.pipeline.edge_model import EdgeModel, open_edge_model
from edge_autotuner.pipeline.run_folder import RunFolder

MIN_SCORE, MAX_DETECTIONS = 0.05, 300
"""Of the protocol."""


@dataclass(frozen=True)
class TestSet:
    """Pictures with what is true of them.

    Attributes:
        name: how tables call it.
        labels: classes of the truths and of the models.
        frames: (H, W, 3) BGR picture and its truth.
        map_classes: classes that are scored as another.
    """

    __test__ = False  # pytest collects classes by this name

    name: str
    labels: LabelMap
    frames: list[tuple[ImageArray, Truth]]
    map_classes: Mapping[str, str] = field(default_factory=dict)


def camera_test_set(place: Workplace, scene: Scene, labels: LabelMap | None = None) -> TestSet:
    """Return the scored frames of a camera with their human boxes; `labels`: of the models, None: the dataset's."""
    trial = Trial("labels", scene)
    return run_test_set(place.labelled(trial), place.config(trial), scene, labels)


def run_test_set(folder: RunFolder, config: RunConfig, scene: Scene, labels: LabelMap | None = None) -> TestSet:
    """Return the scored frames of a run with their human boxes, as the evaluation stage has them."""
    with DatasetStore.open(folder.dataset) as store:
        classes = labels or store.labels
        frames = list(human_frames(store, config, "test", labels=classes))
        return TestSet(scene.name, classes, frames, merges_among(classes, scene.map_classes))


def highway_test_set(place: Workplace) -> TestSet:
    """Return frames of CDnet's highway with its rough boxes."""
    path = HIGHWAY.write_truth(place.data, place.work / "truth" / "highway.json")
    truth = load_coco_truth(path, labels=STREET_6, map_classes=HIGHWAY.map_classes)
    frames = []
    for frame in VideoFile(place.data / HIGHWAY.source).frames():
        boxes = truth.for_frame(frame.index, None)
        if boxes is not None:
            frames.append((frame.image_bgr.copy(), Truth(*boxes)))
    return TestSet(
        f"{HIGHWAY.name} (rough boxes)",
        STREET_6,
        _shortened(frames, place),
        merges_among(STREET_6, HIGHWAY.map_classes),
    )


def motorway_test_set(place: Workplace) -> TestSet:
    """Return frames of an unrelated motorway; what is true of them is what the teacher says of vehicles."""
    folder = labelled_clip(place, MOTORWAY)
    min_score = folder.settings().annotation.min_score
    with DatasetStore.open(folder.dataset) as store:
        vehicles = store.labels.ids_of(("car", "bus", "truck"))
        frames = []
        for record in store.frames("test"):
            annotation = store.annotation_of(record)
            assert annotation is not None, "the clip is labelled"
            frames.append(
                (store.read_image(record), _only(truth_from_annotation(annotation, min_score=min_score), vehicles))
            )
        return TestSet(MOTORWAY.name, store.labels, frames, {"bus": "car", "truck": "car"})


def human_frames(
    store: DatasetStore,
    config: RunConfig,
    split: str,
    *,
    labels: LabelMap,
    indices: Collection[int] | None = None,
) -> Iterator[tuple[ImageArray, Truth]]:
    """Yield the pictures of a split that the ground truth of the settings knows; `indices`: of these frames only.

    Raises:
        EvaluationError: the ground truth cannot be read.
    """
    path = config.evaluation.ground_truth
    assert path is not None, "cameras of the benchmark have human boxes"
    truth = load_coco_truth(path, labels=labels, map_classes=config.evaluation.map_classes)
    for record in store.frames(split):
        if indices is not None and record.index not in indices:
            continue
        boxes = truth.for_frame(record.index, record.file_name)
        if boxes is not None:
            yield store.read_image(record), Truth(*boxes)


def start_detector(place: Workplace, config: RunConfig) -> Detector:
    """Return the edge model of the settings as it is before any training."""
    edge = open_edge_model(config)
    size = "x".join(map(str, config.input_size))
    name = f"{edge.name}-{edge.sha256[:12]}-{size}-{len(edge.labels)}.onnx"
    return _as_detector(edge, config, place.work / "models" / name)


def specialized_detector(done: Finished) -> Detector:
    """Return what a trial made of its edge model; the evaluation has exported it."""
    network, labels = load_network(done.weights)
    edge = EdgeModel(done.trial.name, network, labels, hashlib.sha256(done.weights.read_bytes()).hexdigest())
    return _as_detector(edge, done.config, done.weights.with_name("candidate.onnx"))


def score(detector: Detector, test_set: TestSet) -> dict[str, Any]:
    """Return the scores of a detector as JSON values.

    `ap50` and `ap` follow the protocol: non-maximum suppression per class has run before classes are merged, so that
    one object that is found as "car" and as "truck" counts as a hit and a false alarm. `one_box` says what they are
    when boxes of merged classes suppress each other, too.
    """
    merge = merge_classes(test_set.labels, test_set.map_classes)
    found = [merge.detections(detector.detect(image)) for image, _ in test_set.frames]
    truths = [merge.truth(truth) for _, truth in test_set.frames]

    def scored(detections: list[Detections]) -> Scores:
        return score_detections(detections, truths, merge.labels, max_detections=MAX_DETECTIONS, min_score=MIN_SCORE)

    values = scored(found).to_json()
    if test_set.map_classes:
        alone = scored([nms_per_class(one, NMS_IOU) for one in found])
        values["one_box"] = {"ap50": alone.ap50, "ap": alone.ap}
    return values


def _as_detector(edge: EdgeModel, config: RunConfig, path: Path) -> Detector:
    return edge.as_detector(config.input_size, path, min_score=MIN_SCORE)


def _only(truth: Truth, class_ids: Sequence[int]) -> Truth:
    kept = np.isin(truth.class_ids, class_ids)
    return Truth(truth.boxes_xyxy[kept], truth.class_ids[kept], truth.is_ignored[kept])


def _shortened(frames: list[Any], place: Workplace) -> list[Any]:
    return frames[:4] if place.quick else frames
