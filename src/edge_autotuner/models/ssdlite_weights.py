"""Reads SSDLite weights of TensorFlow's frozen `ssdlite_mobilenet_v2_coco` graph.

In that graph, BatchNorm is folded into plain convolutions, a factor and an offset after depthwise ones, and complete in
the predictors. All three become one convolution with bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edge_autotuner.core.labels import COCO_80, COCO_CATEGORY_IDS
from edge_autotuner.models.ssdlite import SSDLITE_SIZES, Ssdlite
from edge_autotuner.models.ssdlite_anchors import BOXES_PER_CELL
from edge_autotuner.models.torch_weights import Family, Tensors
from edge_autotuner.models.trainable import TrainableNetwork

_BACKBONE = "FeatureExtractor/MobilenetV2"
_EXTRAS = (
    ("layer_19_1_Conv2d_2_1x1_256", "layer_19_2_Conv2d_2_3x3_s2_512"),
    ("layer_19_1_Conv2d_3_1x1_128", "layer_19_2_Conv2d_3_3x3_s2_256"),
    ("layer_19_1_Conv2d_4_1x1_128", "layer_19_2_Conv2d_4_3x3_s2_256"),
    ("layer_19_1_Conv2d_5_1x1_64", "layer_19_2_Conv2d_5_3x3_s2_128"),
)
_N_BLOCKS = 17
_BN_EPS = 1e-3  # of the published configuration
_XYWH_OF_YXHW = (1, 0, 3, 2)  # TensorFlow boxes are y, x, height, width


def _to_our_names(_network: TrainableNetwork, tensors: Tensors) -> Tensors:
    """Convert TensorFlow's tensors to ours; our own files stay unchanged."""
    return _from_tensorflow(tensors) if any(name.startswith(_BACKBONE) for name in tensors) else tensors


SSDLITE_FAMILY = Family(SSDLITE_SIZES, lambda name, n_classes, _: Ssdlite(name, n_classes), _to_our_names)


def _from_tensorflow(tensors: Tensors) -> Tensors:
    """Return the state of a network with COCO's 80 classes."""
    state: Tensors = {}
    for ours, theirs in _plain_layers().items():
        state |= _named(ours, _folded_plain(tensors, f"{_BACKBONE}/{theirs}"))
    for ours, theirs in _depthwise_layers().items():
        state |= _named(ours, _folded_depthwise(tensors, f"{_BACKBONE}/{theirs}"))
    state["backbone.stem.conv.weight"] = state["backbone.stem.conv.weight"].flip(1)  # RGB there, BGR here
    classes = tuple(COCO_CATEGORY_IDS[name] for name in COCO_80)
    for level, n_boxes in enumerate(BOXES_PER_CELL):
        prefix = f"BoxPredictor_{level}"
        state |= _predictor(f"box_heads.{level}", tensors, f"{prefix}/BoxEncodingPredictor", n_boxes, _XYWH_OF_YXHW)
        state |= _predictor(f"class_heads.{level}", tensors, f"{prefix}/ClassPredictor", n_boxes, classes)
    return state


def _predictor(ours: str, tensors: Tensors, prefix: str, n_boxes: int, rows: Sequence[int]) -> Tensors:
    """Return a predictor with the values of these numbers, in this order, for each box of a cell."""
    weights, biases = _oihw(tensors[f"{prefix}/weights"]), tensors[f"{prefix}/biases"]
    of_box = torch.unflatten(weights, 0, (n_boxes, -1)), torch.unflatten(biases, 0, (n_boxes, -1))
    return {
        **_named(f"{ours}.depthwise", _folded_predictor(tensors, f"{prefix}_depthwise")),
        f"{ours}.predict.weight": of_box[0][:, list(rows)].flatten(0, 1),
        f"{ours}.predict.bias": of_box[1][:, list(rows)].flatten(0, 1),
    }


def _plain_layers() -> dict[str, str]:
    """Return our and TensorFlow's names of the convolutions over all channels."""
    names = {"backbone.stem": "Conv", "backbone.last": "Conv_1"}
    for i in range(_N_BLOCKS):
        if i:  # the first block does not widen
            names[f"backbone.blocks.{i}.expand"] = f"{_block(i)}/expand"
        names[f"backbone.blocks.{i}.project"] = f"{_block(i)}/project"
    for i, (narrow, widen) in enumerate(_EXTRAS):
        names |= {f"extras.{i}.narrow": narrow, f"extras.{i}.widen": widen}
    return names


def _depthwise_layers() -> dict[str, str]:
    names = {f"backbone.blocks.{i}.depthwise": f"{_block(i)}/depthwise" for i in range(_N_BLOCKS)}
    return names | {f"extras.{i}.depthwise": f"{widen}_depthwise" for i, (_, widen) in enumerate(_EXTRAS)}


def _block(index: int) -> str:
    return f"expanded_conv_{index}" if index else "expanded_conv"


def _named(layer: str, weight_and_bias: tuple[Tensor, Tensor]) -> Tensors:
    weight, bias = weight_and_bias
    return {f"{layer}.conv.weight": weight.contiguous(), f"{layer}.conv.bias": bias}


def _folded_plain(tensors: Tensors, prefix: str) -> tuple[Tensor, Tensor]:
    return _oihw(tensors[f"{prefix}/Conv2D/merged_input"]), tensors[f"{prefix}/BatchNorm/batchnorm/sub"]


def _folded_depthwise(tensors: Tensors, prefix: str) -> tuple[Tensor, Tensor]:
    factor = tensors[f"{prefix}/BatchNorm/batchnorm/mul"]
    return _depthwise(tensors[f"{prefix}/depthwise_weights"], factor), tensors[f"{prefix}/BatchNorm/batchnorm/sub"]


def _folded_predictor(tensors: Tensors, prefix: str) -> tuple[Tensor, Tensor]:
    gamma, beta, mean, variance = (
        tensors[f"{prefix}/BatchNorm/{name}"] for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    factor = gamma / torch.sqrt(variance + _BN_EPS)
    return _depthwise(tensors[f"{prefix}/depthwise_weights"], factor), beta - mean * factor


def _oihw(weights: Tensor) -> Tensor:
    """Convert (height, width, in, out) to torch's order, and turn kernels by 180 degrees; see `Ssdlite`."""
    return weights.permute(3, 2, 0, 1).flip(2, 3)


def _depthwise(weights: Tensor, factor: Tensor) -> Tensor:
    """Do the same with (height, width, channels, 1), and multiply each channel by its factor."""
    return weights.permute(2, 3, 0, 1).flip(2, 3) * factor.reshape(-1, 1, 1, 1)
