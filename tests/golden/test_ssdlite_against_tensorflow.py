"""The network in torch against the published TensorFlow graph of the same weights, run node by node."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from edge_autotuner.core import COCO_80, COCO_CATEGORY_IDS, Detections
from edge_autotuner.core.types import ImageArray
from edge_autotuner.models import Ssdlite, load_network, nms_per_class
from edge_autotuner.models.ssdlite_anchors import Anchors
from edge_autotuner.models.torch_detector import TorchDetector
from helpers import shared_data

FOLDER = "models/ssdlite_mobilenet_v2_300"
SIDE = 300
COCO_CHANNELS = [COCO_CATEGORY_IDS[name] for name in COCO_80]
MIN_SCORE, NMS_IOU = 0.05, 0.6


def same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad (B, H, W, C) as TensorFlow's "SAME" does."""
    rows, columns = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[1:3])
    return functional.pad(x, (0, 0, columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


def convolve(node: dict[str, Any], x: Tensor, weights: Tensor, *, depthwise: bool) -> Tensor:
    stride = int(node["attr"]["strides"]["list"]["i"][1])
    kernels = weights.permute(2, 3, 0, 1) if depthwise else weights.permute(3, 2, 0, 1)
    planes = same(x, weights.shape[0], stride).permute(0, 3, 1, 2)
    groups = weights.shape[2] if depthwise else 1
    return functional.conv2d(planes, kernels, stride=stride, groups=groups).permute(0, 2, 3, 1)


def normalize(node: dict[str, Any], x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return (x - mean) / torch.sqrt(variance + node["attr"]["epsilon"]["f"]) * gamma + beta


OPERATIONS: dict[str, Callable[..., Any]] = {
    "Conv2D": lambda node, x, weights: convolve(node, x, weights, depthwise=False),
    "DepthwiseConv2dNative": lambda node, x, weights: convolve(node, x, weights, depthwise=True),
    "FusedBatchNorm": normalize,
    "Relu6": lambda _, x: x.clamp(0, 6),
    "Sigmoid": lambda _, x: x.sigmoid(),
    "Exp": lambda _, x: x.exp(),
    "Add": lambda _, a, b: a + b,
    "AddN": lambda _, a, b: a + b,
    "BiasAdd": lambda _, a, b: a + b,
    "Sub": lambda _, a, b: a - b,
    "Mul": lambda _, a, b: a * b,
    "Reshape": lambda _, x, shape: x.reshape([int(side) for side in shape]),
    "Shape": lambda _, x: list(x.shape),
    "StridedSlice": lambda _, shape, *__: shape[0],
    "Pack": lambda _, *parts: torch.stack(parts) if isinstance(parts[0], Tensor) else list(parts),
    "ConcatV2": lambda _, *parts: torch.cat(parts[:-1], int(parts[-1])),
    "Squeeze": lambda _, x: x.squeeze(2),
    "Tile": lambda _, x, __: x,  # a batch of one
    "Transpose": lambda _, x, __: x.T,
}


def run_graph(folder: Path, image_rgb: Tensor, outputs: Sequence[str]) -> list[Tensor]:
    """Evaluate nodes of the graph for a (1, 300, 300, 3) picture of 0..255."""
    nodes = {n["name"]: n for n in json.loads((folder / "tfjs_model.json").read_text())["modelTopology"]["node"]}
    constants = load_file(folder / "weights.safetensors")

    @cache
    def value(name: str) -> Any:
        name, _, part = name.partition(":")
        if name == "Preprocessor/map/TensorArrayStack/TensorArrayGatherV3":
            return image_rgb
        node = nodes[name]
        if node["op"] == "Const":
            return constants[name]
        inputs = [value(source) for source in node["input"]]
        if node["op"] == "Unpack":
            return inputs[0][int(part or 0)]
        return OPERATIONS[node["op"]](node, *inputs)

    return [value(name) for name in outputs]


@pytest.fixture(scope="module")
def folder() -> Path:
    return shared_data(FOLDER)


@pytest.fixture(scope="module")
def network(folder: Path) -> Ssdlite:
    network, labels = load_network(folder / "weights.safetensors")
    assert isinstance(network, Ssdlite)
    assert labels == COCO_80
    return network


@pytest.fixture(scope="module")
def frame() -> ImageArray:
    """A street with people, in the network's size: the same pixels for both, without resizing."""
    video = cv2.VideoCapture(str(shared_data("scenes/pets2009_s2l1/vtest.avi")))
    video.set(cv2.CAP_PROP_POS_FRAMES, 300)
    _, image = video.read()
    return np.asarray(cv2.resize(image, (SIDE, SIDE)), np.uint8)


@pytest.fixture(scope="module")
def published(folder: Path, frame: ImageArray) -> list[Tensor]:
    """Return (1, 1917, 4) boxes, y1, x1, y2, x2 as shares of a side, and (1, 1917, 91) scores, background first."""
    rgb = torch.from_numpy(frame[:, :, ::-1].astype(np.float32))[None]
    boxes, scores = run_graph(folder, rgb, ["Postprocessor/Decode/transpose_1", "Postprocessor/convert_scores"])
    return [boxes[None], scores]


def turned(side: int) -> Tensor:
    """Return where the n-th anchor of TensorFlow stands in our order, which begins at the last cell."""
    order, start = [], 0
    for level, n_boxes in enumerate((3, 6, 6, 6, 6, 6)):
        n_cells = (-(-side // (16 << level))) ** 2
        cells = torch.arange(n_cells).flip(0)
        order.append((cells[:, None] * n_boxes + torch.arange(n_boxes)).reshape(-1) + start)
        start += n_cells * n_boxes
    return torch.cat(order)


@torch.inference_mode()
def test_boxes_and_scores_are_those_of_the_graph(network: Ssdlite, frame: ImageArray, published: list[Tensor]) -> None:
    image = torch.from_numpy(frame.transpose(2, 0, 1).astype(np.float32))[None]
    boxes, scores = (values[:, turned(SIDE)] for values in network.decoded((SIDE, SIDE))(image))
    expected_boxes, expected_scores = published
    assert scores.shape == (1, 1917, 80)
    # measured: 1e-6 and 5e-4 px; only the order of float32 sums differs
    assert (scores - expected_scores[..., COCO_CHANNELS]).abs().max() < 1e-4
    assert (boxes - expected_boxes[..., [1, 0, 3, 2]] * SIDE).abs().max() < 0.01
    assert scores.max() > 0.9


def test_detections_are_those_of_the_graph(network: Ssdlite, frame: ImageArray, published: list[Tensor]) -> None:
    boxes, scores = published[0][0, :, [1, 0, 3, 2]] * SIDE, published[1][0, :, COCO_CHANNELS]
    best, class_ids = scores.max(dim=1)
    expected = Detections(boxes.numpy(), best.numpy(), class_ids.numpy()).above(MIN_SCORE).clipped((SIDE, SIDE))
    expected = nms_per_class(expected, NMS_IOU)
    found = TorchDetector(network, COCO_80, (SIDE, SIDE), min_score=MIN_SCORE).detect(frame)
    assert len(found) == len(expected) > 5
    assert found.class_ids.tolist() == expected.class_ids.tolist()
    assert found.scores == pytest.approx(expected.scores, abs=1e-4)
    assert found.boxes_xyxy == pytest.approx(expected.boxes_xyxy, abs=0.01)
    assert COCO_80[int(found.class_ids[0])] == "person"


def test_anchors_are_those_of_the_graph(folder: Path) -> None:
    expected = load_file(folder / "weights.safetensors")["Postprocessor/ExpandDims"][0] * SIDE  # y1, x1, y2, x2
    anchors = Anchors.of_input(SIDE, SIDE)
    half = anchors.sizes / 2
    corners = torch.cat((anchors.centres - half, anchors.centres + half), dim=1)[turned(SIDE)]
    assert (corners - expected[:, [1, 0, 3, 2]]).abs().max() < 1e-3
