"""Off-the-shelf detectors and pose models on the simulated world, against its exact truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.scenes import data_folder
from edge_autotuner.core import COCO_80, STREET_6, Detections, LabelMap
from edge_autotuner.core.types import ImageArray
from edge_autotuner.evaluation import Truth, count_found, merge_classes, score_detections
from edge_autotuner.models import OnnxDetector, nms_per_class
from edge_autotuner.models.catalogue import deim_spec, picodet_spec, yolox_spec
from edge_autotuner.simulation.world import SceneType, SimulatedWorld, Steady, TrueObject, WorldConditions
from edge_autotuner.simulation.world.recording import is_counted

LIGHTS = {
    "day": WorldConditions(),
    "night": WorldConditions(daylight=2),
    "infrared": WorldConditions(daylight=0, has_infrared=True),
}
N_CAMERAS, N_FRAMES, STEP, FIRST = 3, 20, 80, 100
MIN_SCORE, LARGE_PX = 0.3, 24
AS_CAR = {"bus": "car", "truck": "car"}  # COCO's detectors call vans and trucks by either name
_DETECTORS = {
    "deimv2-femto": ("deimv2_femto_416/deimv2_femto.onnx", deim_spec, 416),
    "yolox-nano": ("yolox_nano_416/yolox_nano.onnx", yolox_spec, 416),
    "picodet-s": ("picodet_s_416/picodet_s_416.onnx", picodet_spec, 416),
}

TEACHER, _BORDER_PX = "deimv2-femto", 3


def run_detectors(scene: SceneType, *, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Score every detector on a scene type by day, by night and in infrared light."""
    models = {name: open_detector(name).detect for name in _DETECTORS}
    return [row for light in LIGHTS for row in _rows(scene, light, models, quick, say)]


def run_teacher(scene: SceneType, *, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Score the best detector by day as a teacher looks: at the full frame and at 2x2 tiles."""
    detector = open_detector(TEACHER)
    return _rows(scene, "day", {f"{TEACHER}, 2x2 tiles": lambda image: _detect_in_tiles(detector, image)}, quick, say)


def open_detector(name: str, *, n_threads: int | None = None, min_score: float = 0.05) -> OnnxDetector:
    """Return a detector as it was published, by its name in the tables."""
    file, spec, side = _DETECTORS[name]
    return OnnxDetector(
        data_folder() / "models" / file, spec(name, (side, side)), n_threads=n_threads, min_score=min_score
    )


def _rows(
    scene: SceneType,
    light: str,
    models: Mapping[str, Callable[[ImageArray], Detections]],
    quick: bool,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Score detectors on the frames of all cameras of a type together."""
    merge = merge_classes(STREET_6, AS_CAR)
    truths: list[Truth] = []
    found: dict[str, list[Detections]] = {name: [] for name in models}
    for camera in range(1 if quick else N_CAMERAS):
        size_wh = (1280, 720) if scene == "motorway" else (640, 360)
        world = SimulatedWorld(scene, camera=camera, size_wh=size_wh, n_frames=10_000, schedule=Steady(LIGHTS[light]))
        for index in range(FIRST, FIRST + STEP * (2 if quick else N_FRAMES), STEP):
            image = world.image(index)
            truths.append(merge.truth(true_boxes(world.truth(index).objects(0.02))))
            for name, detect in models.items():
                found[name].append(merge.detections(detect(image).relabelled(COCO_80, STREET_6)))
    rows = []
    for name, own in found.items():
        rows.append({"scene": scene, "light": light, "detector": name, **scored(own, truths, merge.labels)})
        say(f"{scene}, {light}, {name}: AP50 {rows[-1]['ap50']:.3f}")
    return rows


def _detect_in_tiles(detector: OnnxDetector, image: ImageArray) -> Detections:
    """Return boxes of the full frame and of 2x2 tiles with 25 % overlap; those cut by an inner border are dropped."""
    height, width = image.shape[:2]
    tile_w, tile_h = width * 4 // 7, height * 4 // 7
    parts = [detector.detect(image)]
    for left in (0, width - tile_w):
        for top in (0, height - tile_h):
            boxes = detector.detect(image[top : top + tile_h, left : left + tile_w])
            x1, y1, x2, y2 = boxes.boxes_xyxy.T
            is_cut = (x2 > tile_w - _BORDER_PX) if left == 0 else (x1 < _BORDER_PX)
            is_cut |= (y2 > tile_h - _BORDER_PX) if top == 0 else (y1 < _BORDER_PX)
            parts.append(boxes.select(~is_cut).shifted(left, top))
    return nms_per_class(Detections.concatenate(parts), 0.5)


def true_boxes(objects: list[TrueObject]) -> Truth:
    """Return the objects of a frame as the evaluation takes them."""
    boxes = np.array([one.box_xyxy for one in objects], np.float32).reshape(-1, 4)
    ignored = np.array([not is_counted(one) for one in objects], np.bool_)
    return Truth(boxes, np.array([one.class_id for one in objects], np.int64), ignored)


def scored(boxes: list[Detections], truths: list[Truth], labels: LabelMap) -> dict[str, Any]:
    """Return AP over all classes, and of people and cars also how many large ones are found."""
    scores = score_detections(boxes, truths, labels)
    row: dict[str, Any] = {"ap50": scores.ap50, "ap": scores.ap, "n_frames": len(truths)}
    for name in ("person", "car"):
        class_id = labels.id_of(name)
        own = [found.select(found.class_ids == class_id) for found in boxes]
        large = [_large(truth.of_class(class_id)) for truth in truths]
        counted = count_found(own, large, min_score=MIN_SCORE)
        per_class = scores.per_class.get(name)
        row[name] = {
            "ap50": None if per_class is None else per_class.ap50,
            "n_large": counted.n_truths,
            "n_large_found": counted.n_found,
        }
    return row


def _large(truth: Truth) -> Truth:
    """Return the truth with boxes that are lower than `LARGE_PX` ignored."""
    heights = truth.boxes_xyxy[:, 3] - truth.boxes_xyxy[:, 1]
    return Truth(truth.boxes_xyxy, truth.class_ids, truth.is_ignored | (heights < LARGE_PX))
