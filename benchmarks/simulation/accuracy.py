"""Off-the-shelf detectors and pose models on the simulated world, against its exact truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from benchmarks.scenes import data_folder
from edge_autotuner.core import COCO_80, STREET_6, Detections, LabelMap
from edge_autotuner.core.types import FloatArray, ImageArray
from edge_autotuner.evaluation import Truth, count_found, merge_classes, score_detections
from edge_autotuner.models import OnnxDetector, nms_per_class
from edge_autotuner.models.catalogue import deim_spec, picodet_spec, yolox_spec
from edge_autotuner.simulation.world import SCENE_TYPES, SceneType, SimulatedWorld, Steady, TrueObject, WorldConditions
from edge_autotuner.simulation.world.backdrop import paint_sprite_in_place
from edge_autotuner.simulation.world.people import Body, Gait, draw_person, joints_of
from edge_autotuner.simulation.world.recording import is_counted
from edge_autotuner.simulation.world.sprite import YAW_BINS, View, scale_number

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

# one person alone, 230 px high, on a plain ground
N_POSES, _SIDE, _HEIGHT, _FOOT = 64, 288, 230, (144, 262)
_BLAZEPOSE = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)  # COCO's joints among its landmarks
_SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000  # pycocotools
_GAITS: tuple[Gait, ...] = ("walk", "walk", "stroll", "run")


def run_detectors(*, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Score every detector on every scene type by day, by night and in infrared light."""
    models = {name: _open(name).detect for name in _DETECTORS}
    return [row for scene in SCENE_TYPES for light in LIGHTS for row in _rows(scene, light, models, quick, say)]


def run_teacher(*, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Score the best detector by day as a teacher looks: at the full frame and at 2x2 tiles."""
    detector = _open(TEACHER)
    models = {f"{TEACHER}, 2x2 tiles": lambda image: _detect_in_tiles(detector, image)}
    return [row for scene in SCENE_TYPES for row in _rows(scene, "day", models, quick, say)]


def _open(name: str) -> OnnxDetector:
    file, spec, side = _DETECTORS[name]
    return OnnxDetector(data_folder() / "models" / file, spec(name, (side, side)))


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


def run_poses(*, quick: bool) -> list[dict[str, Any]]:
    """Score the pose models on single people who walk in all directions; joints that the body hides do not count."""
    folder = data_folder() / "models"
    models = {"movenet-lightning": _movenet(folder)}
    for size in ("lite", "full", "heavy"):
        models[f"blazepose-{size}"] = _blazepose(folder, size)
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for number in range(8 if quick else N_POSES):
        image, joints, seen = _figure(number)
        area = 0.53 * _box_area(joints)  # COCO's OKS uses the area of the mask, about half of the box
        for name, model in models.items():
            distance = np.hypot(*(model(image) - joints).T)
            oks = np.exp(-(distance**2) / (2 * area * (2 * _SIGMAS) ** 2))
            near = distance < 0.05 * _HEIGHT
            rows[name].append((float(oks[seen].mean()), float(near[5:][seen[5:]].mean())))
    return [
        {"model": name, "oks": float(np.mean([r[0] for r in found])), "near": float(np.mean([r[1] for r in found]))}
        for name, found in rows.items()
    ]


def _figure(number: int) -> tuple[ImageArray, FloatArray, Any]:
    body, gait = Body.number(number), _GAITS[number % len(_GAITS)]
    view, phase = View(number * 6 % YAW_BINS, 3, scale_number(_HEIGHT / body.height_m)), number * 5 % 16
    image = np.full((_SIDE, _SIDE, 3), (140, 150, 150), np.uint8)
    image[_SIDE // 2 :] = (110, 112, 112)
    noise = np.random.default_rng(number).normal(0, 3, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    paint_sprite_in_place(image, draw_person(body, gait, phase, view), _FOOT)
    drawn = joints_of(body, gait, phase, view)
    return image, drawn.offsets_xy + np.array(_FOOT, np.float32), drawn.faces_camera


def _box_area(joints: FloatArray) -> float:
    wide, high = np.ptp(joints, axis=0)
    return float(max(wide, 0.25 * high) * high)


def _movenet(folder: Path) -> Callable[[ImageArray], FloatArray]:
    session = _session(folder / "pose_movenet_lightning_192" / "movenet_lightning_192.onnx")

    def joints(image: ImageArray) -> FloatArray:
        rgb = cv2.cvtColor(cv2.resize(image, (192, 192)), cv2.COLOR_BGR2RGB)
        found = session.run(None, {session.get_inputs()[0].name: rgb[None].astype(np.int32)})[0][0, 0]
        return np.asarray(found[:, [1, 0]] * _SIDE, np.float32)

    return joints


def _blazepose(folder: Path, size: str) -> Callable[[ImageArray], FloatArray]:
    session = _session(folder / "pose_blazepose_256" / f"blazepose_{size}.onnx")

    def joints(image: ImageArray) -> FloatArray:
        rgb = cv2.cvtColor(cv2.resize(image, (256, 256)), cv2.COLOR_BGR2RGB).astype(np.float32) / 255
        found = session.run(["Identity"], {session.get_inputs()[0].name: rgb[None]})[0].reshape(39, 5)
        return np.asarray(found[list(_BLAZEPOSE), :2] * _SIDE / 256, np.float32)

    return joints


def _session(path: Path) -> Any:  # noqa: ANN401 (untyped library)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
