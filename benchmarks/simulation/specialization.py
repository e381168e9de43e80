"""Detectors specialized on one simulated camera: on its later video, on a second camera, and on another type of scene.

A real teacher labels; the exact truth only judges, but for the rows named oracle, which train on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

from benchmarks.scenes import data_folder
from benchmarks.simulation.accuracy import AS_CAR, scored, true_boxes
from benchmarks.specialization.given_labels import store_labels, sure_annotation
from benchmarks.specialization.scoring import MIN_SCORE
from benchmarks.specialization.trial import QUICK_SETTINGS
from benchmarks.specialization.workplace import copy_labelled
from edge_autotuner.config import RunConfig, resolve_config
from edge_autotuner.core import STREET_6, Annotation, Detector
from edge_autotuner.dataset import FrameRecord
from edge_autotuner.evaluation import merge_classes
from edge_autotuner.models.trainable_weights import load_network
from edge_autotuner.pipeline.edge_model import EdgeModel, open_edge_model
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.pipeline.session import Session, run_stages
from edge_autotuner.simulation.world import SceneType, SimulatedWorld
from edge_autotuner.simulation.world.recording import write_world_video

EDGE_MODEL, TEACHER, SEEDS = "yolox-nano", "deimv2-femto", (0, 1, 2)
Labels = Literal["teacher", "oracle"]
LABELS: tuple[Labels, ...] = get_args(Labels)
TESTS: dict[SceneType, tuple[tuple[str, SceneType, int], ...]] = {
    "street": (("its later video", "street", 0), ("a second street", "street", 1), ("a motorway", "motorway", 0)),
    "motorway": (("its later video", "motorway", 0), ("a second motorway", "motorway", 1), ("a street", "street", 0)),
}
"""Scene type of the camera that is learnt -> name, scene type and number of the cameras that are tested."""

_ORACLE = "oracle: exact truth"
_RATE_HZ, _N_FRAMES, _N_IMAGES, _N_TESTED, _STEP = 2.0, 400, 120, 40, 20
_SIZES = {"motorway": (1280, 720)}


def run_start(scene: SceneType, folder: Path, *, quick: bool) -> list[dict[str, Any]]:
    """Score the edge model as it is."""
    config = _config(0, quick=quick)
    folder.mkdir(parents=True, exist_ok=True)
    return _scores(_detector(open_edge_model(config), config, folder / "start.onnx"), scene, quick=quick)


def run_trained(scene: SceneType, labels: Labels, seed: int, folder: Path, *, quick: bool) -> list[dict[str, Any]]:
    """Specialize on the first camera of a type with the product's defaults, and score; what is there goes on."""
    config = _config(seed, quick=quick, labels=labels)
    run = RunFolder(folder / f"{scene}-{labels}-{seed}")
    copy_labelled(_labelled(scene, labels, folder, quick=quick).path, run.path)
    run_stages(Session.open(run.path, config), first="training", last="training")
    weights = run.candidate_weights(run.require("training", before="the benchmark").fingerprint)
    network, classes = load_network(weights)
    edge = EdgeModel(EDGE_MODEL, network, classes, hashlib.sha256(weights.read_bytes()).hexdigest())
    return _scores(_detector(edge, config, weights.with_suffix(".onnx")), scene, quick=quick)


def _config(seed: int, *, quick: bool, labels: Labels = "teacher") -> RunConfig:
    own: dict[str, Any] = {
        "edge_model": EDGE_MODEL,
        "annotation.teacher": TEACHER,
        "capture.max_images": _N_IMAGES,
        "capture.max_test_images": 4,  # tests are drawn anew
        "training.seed": seed,
        "models_dir": data_folder() / "models",
    }
    exact = {"training.second_look.enabled": False} if labels == "oracle" else {}
    return resolve_config(None, {**own, **exact, **(QUICK_SETTINGS if quick else {})})


def _labelled(scene: SceneType, labels: Labels, folder: Path, *, quick: bool) -> RunFolder:
    """Return the run folder with frames and labels, made where it is not there yet."""
    video, frames = folder / f"{scene}.mp4", folder / f"{scene}-frames"
    config = _config(0, quick=quick)
    if not video.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_world_video(_world(scene, 0, n_frames=100 if quick else _N_FRAMES), video)
    run_stages(Session.open(frames, config, source=video), last="capture")
    labelled = RunFolder(folder / f"{scene}-{labels}")
    copy_labelled(frames, labelled.path)
    if labels == "oracle":
        store_labels(labelled, _exactly(scene), teacher=_ORACLE)
    else:
        run_stages(Session.open(labelled.path, config), first="annotation", last="annotation")
    return labelled


def _exactly(scene: SceneType) -> Callable[[FrameRecord], Annotation]:
    world = _world(scene, 0)

    def annotate(record: FrameRecord) -> Annotation:
        truth = true_boxes(world.truth(record.index).objects(0.02))
        return sure_annotation(truth.boxes_xyxy[~truth.is_ignored], truth.class_ids[~truth.is_ignored], record)

    return annotate


def _world(scene: SceneType, camera: int, *, n_frames: int = 100_000) -> SimulatedWorld:
    size_wh = _SIZES.get(scene, (640, 360))
    return SimulatedWorld(scene, camera=camera, size_wh=size_wh, n_frames=n_frames, rate_hz=_RATE_HZ)


def _detector(edge: EdgeModel, config: RunConfig, path: Path) -> Detector:
    return edge.as_detector(config.input_size, path, min_score=MIN_SCORE)


def _scores(detector: Detector, learnt: SceneType, *, quick: bool) -> list[dict[str, Any]]:
    return [
        {"camera": name, **_score(detector, scene, camera, 4 if quick else _N_TESTED)}
        for name, scene, camera in TESTS[learnt]
    ]


def _score(detector: Detector, scene: SceneType, camera: int, n: int) -> dict[str, Any]:
    """Score frames after those of the training video."""
    merge, world = merge_classes(STREET_6, AS_CAR), _world(scene, camera)
    indices = range(_N_FRAMES + _STEP, _N_FRAMES + _STEP + _STEP * n, _STEP)
    truths = [merge.truth(true_boxes(world.truth(index).objects(0.02))) for index in indices]
    found = [merge.detections(detector.detect(world.image(i)).relabelled(detector.labels, STREET_6)) for i in indices]
    return scored(found, truths, merge.labels)
