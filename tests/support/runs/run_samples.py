"""A small simulated camera, an edge model and a teacher for runs of the whole job that take seconds.

The teacher is an ONNX file that compares a frame with the empty street and calls every changed place a car: it
needs no weights from anywhere, and what it says follows from what moves.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from onnx import TensorProto, helper, numpy_helper

from edge_autotuner.config import AugmentationConfig
from edge_autotuner.core import COCO_80, STREET_6, Annotation
from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.dataset.records import annotation_to_json
from edge_autotuner.simulation import SimulatedCamera
from support.runs.cli_runs import Outcome, run_script

SIZE_WH = (192, 128)
N_FRAMES = 90
SEED = 3
_TEACHER_SIDE, _CELL = 192, 32  # the frame fills the teacher's input without resizing
_CHANGED_LEVELS, _SOFTNESS = 25.0, 4.0


@dataclass(frozen=True)
class Samples:
    """Files that a run needs.

    Attributes:
        video: 90 frames of a street; the first 20 are empty.
        ground_truth: its exact boxes.
        edge_model: YOLOX-nano with random weights and the six street classes.
        teacher: ONNX file, adapter "yolox".
        config: YAML file that names them and keeps everything small.
    """

    video: Path
    ground_truth: Path
    edge_model: Path
    teacher: Path
    config: Path


def camera() -> SimulatedCamera:
    """Return the camera that all runs look through."""
    return SimulatedCamera(SIZE_WH, n_frames=N_FRAMES, rate_hz=10.0, seed=SEED)


def write_samples(folder: Path) -> Samples:
    """Write all files into a folder."""
    samples = Samples(*(folder / n for n in ("cam.mp4", "gt.json", "edge.safetensors", "teacher.onnx", "run.yaml")))
    scene = camera()
    scene.write_video(samples.video)
    scene.write_ground_truth(samples.ground_truth)
    save_edge_model(samples.edge_model)
    samples.teacher.write_bytes(change_detector(scene.street_bgr))
    samples.config.write_text(yaml.safe_dump(settings(samples)), encoding="utf-8")
    return samples


def settings(samples: Samples) -> dict[str, Any]:
    """Return the settings of the small runs."""
    return {
        "edge_model": str(samples.edge_model),
        "input_size": 96,
        "capture": {"max_images": 12, "max_test_images": 6, "background": {"method": "first"}},
        "annotation": {
            "teacher": str(samples.teacher),
            "adapter": "yolox",
            "zoom_input": 96,
            "look": "full",
            "tile_grid": 1,
        },
        "training": {
            "n_epochs": 3,
            "min_steps_per_epoch": 2,
            "max_steps_per_epoch": 2,
            "batch_size": 4,
            "max_lr": 0.005,
            "ema_decay": 0.5,
            "n_threads": 1,
            "second_look": {"enabled": False},  # its tests switch it on
            "augmentation": dict.fromkeys(AugmentationConfig.model_fields, 0),  # six steps cannot learn from more
        },
        "evaluation": {"n_bootstrap": 100, "min_score": 0.001},
    }


def save_edge_model(path: Path, *, seed: int = 0) -> None:
    """Write a YOLOX-nano that says "perhaps a car" at each cell of stride 16, which is where the teacher may see one.

    Everything else in it is random, so a few training steps change what it says.
    """
    import torch

    from edge_autotuner.models.yolox import STRIDES, Yolox
    from edge_autotuner.models.yolox_weights import save_yolox

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Yolox("yolox-nano", len(STREET_6))
    head = network.head
    with torch.no_grad():
        for level, stride in enumerate(STRIDES):
            head.obj_preds[level].bias.fill_(-1.0 if stride == _CELL // 2 else -8.0)
            head.cls_preds[level].bias.fill_(-5.0)
            head.cls_preds[level].bias[STREET_6.id_of("car")] = 2.0
            head.reg_preds[level].weight.zero_()
            head.reg_preds[level].bias.copy_(torch.tensor([0.5, 0.5, 0.0, 0.0]))
    save_yolox(path, network, STREET_6)


def change_detector(street_bgr: ImageArray) -> bytes:
    """Return a YOLOX-like ONNX model with COCO's classes that sees a car wherever the street looks different."""
    side = _TEACHER_SIDE
    empty = np.full((side, side, 3), 114, np.uint8)
    empty[: street_bgr.shape[0], : street_bgr.shape[1]] = street_bgr
    n_fine, n_coarse = sum((side // stride) ** 2 for stride in (8, 16)), (side // 32) ** 2
    is_car = np.zeros((1, 1, len(COCO_80)), np.float32)
    is_car[..., COCO_80.id_of("car")] = 1
    constants = {
        "empty": empty.transpose(2, 0, 1)[None].astype(np.float32),
        "changed": np.float32(_CHANGED_LEVELS),
        "softness": np.float32(1 / _SOFTNESS),
        "column": np.array([1, n_coarse, 1], np.int64),
        "boxes": np.tile(np.array([0.5, 0.5, 0.0, 0.0], np.float32), (1, n_coarse, 1)),  # the cell itself
        "is_car": is_car,
        "nothing": np.zeros((1, n_fine, 5 + len(COCO_80)), np.float32),
    }
    nodes = [
        helper.make_node("Sub", ["images", "empty"], ["difference"]),
        helper.make_node("Abs", ["difference"], ["distance"]),
        helper.make_node("ReduceMean", ["distance"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("AveragePool", ["grey"], ["means"], kernel_shape=[_CELL] * 2, strides=[_CELL] * 2),
        helper.make_node("Sub", ["means", "changed"], ["above"]),
        helper.make_node("Mul", ["above", "softness"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["cells"]),
        helper.make_node("Reshape", ["cells", "column"], ["objectness"]),
        helper.make_node("Mul", ["objectness", "is_car"], ["classes"]),
        helper.make_node("Sqrt", ["objectness"], ["half"]),
        helper.make_node("Sqrt", ["classes"], ["class_scores"]),
        helper.make_node("Concat", ["boxes", "half", "class_scores"], ["coarse"], axis=2),
        helper.make_node("Concat", ["nothing", "coarse"], ["output"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "changes",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, n_fine + n_coarse, 5 + len(COCO_80)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def write_pictures(folder: Path, indices: Iterable[int]) -> None:
    """Write frames of the camera as PNG files named by their number."""
    folder.mkdir(parents=True, exist_ok=True)
    scene = camera()
    for index in indices:
        cv2.imwrite(str(folder / f"{index}.png"), scene.frame(index).image_bgr)


@dataclass(frozen=True)
class FinishedRun:
    """A run of the whole job.

    Attributes:
        folder: its output; not to be changed.
        outcome: how the command ended.
    """

    folder: Path
    outcome: Outcome

    def copy(self, to: Path) -> Path:
        """Copy the folder, links as links."""
        return Path(shutil.copytree(self.folder, to, symlinks=True))


def finish_run(samples: Samples, folder: Path) -> FinishedRun:
    """Run the whole job as a user does."""
    outcome = run_script("run", samples.video, "--output", folder, "--config", samples.config)
    assert outcome.code == 0, outcome.err
    return FinishedRun(folder, outcome)


def state_of(folder: Path) -> dict[str, Any]:
    """Return the records of the finished stages."""
    return dict(json.loads((folder / "state.json").read_text(encoding="utf-8")))


def candidate_of(folder: Path) -> Path:
    """Return the weights file of the training that counts."""
    return folder / "training" / state_of(folder)["training"]["fingerprint"] / "candidate.safetensors"


def results_of(folder: Path) -> dict[str, Any]:
    """Return what a run has found out, without what differs from run to run: times."""
    with DatasetStore.open(folder / "dataset") as store:
        frames = [asdict(record) for record in store.frames()]
        found = [store.annotation_of(record) or Annotation.nothing_seen() for record in store.frames()]
        annotations = [annotation_to_json(annotation, store.labels) for annotation in found]
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    for contender in evaluation.get("contenders", {}).values():
        del contender["ms"]
    return {
        "frames": frames,
        "annotations": annotations,
        "candidate": hashlib.sha256(candidate_of(folder).read_bytes()).hexdigest(),
        "evaluation": {key: value for key, value in evaluation.items() if not key.startswith("ms_")},
        "deployed": hashlib.sha256((folder / "bundle" / "model.onnx").read_bytes()).hexdigest(),
    }
