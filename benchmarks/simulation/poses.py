"""Pose models on people of the simulated world: alone before a plain ground, and cut out of its scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from benchmarks.scenes import data_folder
from benchmarks.simulation.accuracy import LIGHTS
from edge_autotuner.core.types import FloatArray, ImageArray
from edge_autotuner.simulation.world import SceneType, SimulatedWorld, Steady, TrueObject
from edge_autotuner.simulation.world.backdrop import paint_sprite_in_place
from edge_autotuner.simulation.world.people import Body, Gait, draw_person, joints_of
from edge_autotuner.simulation.world.sprite import YAW_BINS, View, scale_number

# one person alone, 230 px high, on a plain ground
N_POSES, _SIDE, _HEIGHT, _FOOT = 64, 288, 230, (144, 262)
_BLAZEPOSE = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)  # COCO's joints among its landmarks
_SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000  # pycocotools
_GAITS: tuple[Gait, ...] = ("walk", "walk", "stroll", "run")

# people in scenes, at least so high and so much of them seen
TALL_PX, _MIN_VISIBLE, _SIZE_WH = 100, 0.6, (1280, 720)
_N_CAMERAS, _FRAMES, _MAX_PEOPLE = 6, range(100, 2500, 60), 64
_CROP_MARGIN = 1.25  # the side of the square, in heights of the box
SCENE_LIGHTS = ("day", "night")


def run_plain(*, quick: bool) -> list[dict[str, Any]]:
    """Score the pose models on single people who walk in all directions; joints that the body hides do not count."""
    models = _models()
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
        return np.asarray(found[:, [1, 0]] * len(image), np.float32)

    return joints


def _blazepose(folder: Path, size: str) -> Callable[[ImageArray], FloatArray]:
    session = _session(folder / "pose_blazepose_256" / f"blazepose_{size}.onnx")

    def joints(image: ImageArray) -> FloatArray:
        rgb = cv2.cvtColor(cv2.resize(image, (256, 256)), cv2.COLOR_BGR2RGB).astype(np.float32) / 255
        found = session.run(["Identity"], {session.get_inputs()[0].name: rgb[None]})[0].reshape(39, 5)
        return np.asarray(found[list(_BLAZEPOSE), :2] * len(image) / 256, np.float32)

    return joints


def _session(path: Path) -> Any:  # noqa: ANN401 (untyped library)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_scene(scene: SceneType, *, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Score the pose models on squares around the true boxes of people in a scene, by day and by night.

    A joint that can be seen is found if the model puts it within 5 % of the height of the person's box.
    """
    models, rows = _models(), []
    for light in SCENE_LIGHTS:
        near: dict[str, list[Any]] = {name: [] for name in models}
        for square, joints, height in _people(scene, light, 4 if quick else _MAX_PEOPLE):
            is_seen = joints[:, 2] == 2
            is_seen[:5] = False  # limbs and trunk, as for single people
            for name, model in models.items():
                distance = np.hypot(*(model(square) - joints[:, :2]).T)
                near[name] += (distance < 0.05 * height)[is_seen].tolist()
        for name, found in near.items():
            rows.append({"scene": scene, "light": light, "model": name, "n_joints": len(found), "n_near": sum(found)})
        say(f"{scene}, {light}: {rows[-1]['n_near']} of {rows[-1]['n_joints']} joints by {rows[-1]['model']}")
    return rows


def _people(scene: SceneType, light: str, n_people: int) -> Iterator[tuple[ImageArray, FloatArray, int]]:
    """Yield squares around tall people of all cameras in turn, with their joints in it and their heights, pixels."""
    worlds = [
        SimulatedWorld(scene, camera=camera, size_wh=_SIZE_WH, n_frames=10_000, schedule=Steady(LIGHTS[light]))
        for camera in range(_N_CAMERAS)
    ]
    n_found = 0
    for index in _FRAMES:
        for world in worlds:
            tall = [one for one in world.truth(index).objects(_MIN_VISIBLE) if _is_tall(one)]
            if not tall:
                continue
            image = world.image(index)
            for one in tall[: n_people - n_found]:
                yield _square(image, one)
                n_found += 1
            if n_found >= n_people:
                return


def _is_tall(one: TrueObject) -> bool:
    return one.joints is not None and one.box_xyxy[3] - one.box_xyxy[1] >= TALL_PX


def _square(image: ImageArray, one: TrueObject) -> tuple[ImageArray, FloatArray, int]:
    x1, y1, x2, y2 = one.box_xyxy
    assert one.joints is not None, "people have joints"
    height = y2 - y1
    side = round(_CROP_MARGIN * max(height, x2 - x1))
    left, top = (x1 + x2 - side) // 2, (y1 + y2 - side) // 2
    padded = cv2.copyMakeBorder(image, side, side, side, side, cv2.BORDER_CONSTANT, value=(114, 114, 114))
    joints = one.joints.copy()
    joints[:, :2] -= (left, top)
    return np.ascontiguousarray(padded[top + side :, left + side :][:side, :side]), joints, height


def _models() -> dict[str, Callable[[ImageArray], FloatArray]]:
    folder = data_folder() / "models"
    models = {"movenet-lightning": _movenet(folder)}
    for size in ("lite", "full", "heavy"):
        models[f"blazepose-{size}"] = _blazepose(folder, size)
    return models
