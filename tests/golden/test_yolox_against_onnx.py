"""The network in torch against the published ONNX file of the same weights."""

from __future__ import annotations

import numpy as np
import onnxruntime
import torch

from edge_autotuner.core import COCO_80
from edge_autotuner.models.yolox import CellGrid, decode_boxes
from edge_autotuner.models.yolox_weights import load_yolox
from helpers import shared_data


@torch.inference_mode()
def test_torch_gives_the_numbers_of_the_published_file() -> None:
    network, labels = load_yolox(shared_data("models/yolox_nano_416/weights.safetensors"), architecture="yolox-nano")
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    published = onnxruntime.InferenceSession(str(shared_data("models/yolox_nano_416/yolox_nano.onnx")), options)
    image = np.random.default_rng(0).uniform(0, 255, (1, 3, 416, 416)).astype(np.float32)
    expected = published.run(None, {published.get_inputs()[0].name: image})[0]  # (1, 3549, 85)
    logits = network(torch.from_numpy(image)).numpy()
    assert labels == COCO_80
    assert logits.shape == expected.shape == (1, 3549, 85)
    # boxes are logits in both, probabilities in the published file; measured: 4e-5
    assert np.abs(logits[..., :4] - expected[..., :4]).max() < 1e-3
    assert np.abs(1 / (1 + np.exp(-logits[..., 4:])) - expected[..., 4:]).max() < 1e-3


@torch.inference_mode()
def test_the_architecture_is_found_by_trying_and_boxes_are_where_the_published_file_has_them() -> None:
    network, _ = load_yolox(shared_data("models/yolox_nano_416/weights.safetensors"))
    assert network.architecture == "yolox-nano"
    published = onnxruntime.InferenceSession(str(shared_data("models/yolox_nano_416/yolox_nano.onnx")))
    image = np.zeros((1, 3, 416, 416), np.float32)
    image[:, :, 100:300, 150:250] = 200
    raw = published.run(None, {published.get_inputs()[0].name: image})[0][0]
    cells = np.concatenate([[(x, y, s) for y in range(416 // s) for x in range(416 // s)] for s in (8, 16, 32)])
    centres, sides = (raw[:, :2] + cells[:, :2]) * cells[:, 2:], np.exp(raw[:, 2:4]) * cells[:, 2:]
    boxes = decode_boxes(network(torch.from_numpy(image)), CellGrid.of_input(416, 416))[0].numpy()
    assert np.abs(boxes - np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)).max() < 0.05
