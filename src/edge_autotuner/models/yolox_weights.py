"""Reads YOLOX weights of our own files, folded ONNX initializers, and official checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch

from edge_autotuner.core.labels import LabelMap
from edge_autotuner.models.torch_weights import Family, Tensors, load_weights, save_network
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.models.yolox import YOLOX_SIZES, ConvBlock, Yolox

_BN_EPS = 1e-3  # of the official models


def _to_our_names(network: TrainableNetwork, tensors: Tensors) -> Tensors:
    if any(name.endswith(".bn.running_mean") for name in tensors):
        return _fold_batch_norm(tensors)
    if any(name.isdigit() for name in tensors):
        return _name_by_execution_order(network, tensors)
    return tensors


YOLOX_FAMILY = Family(YOLOX_SIZES, lambda name, n_classes, _: Yolox(name, n_classes), _to_our_names)


def load_yolox(
    path: Path, *, architecture: str | None = None, labels: LabelMap | None = None
) -> tuple[Yolox, LabelMap]:
    """Read a YOLOX and its classes; `load_network` reads every architecture.

    Args:
        path: `.safetensors` (ours, or ONNX initializers of a folded export) or an official `.pth`.
        architecture: "yolox-nano", "yolox-tiny" or "yolox-s"; default: from the file, or by trial.
        labels: classes of a file that does not name them; default: COCO.

    Raises:
        WeightsError: the file is missing, damaged, or belongs to another architecture.
    """
    return load_weights(path, [YOLOX_FAMILY], architecture=architecture, labels=labels)


def save_yolox(path: Path, network: Yolox, labels: LabelMap, *, half: bool = False) -> None:
    """Write a YOLOX; see `save_network`."""
    save_network(path, network, labels, half=half)


def _fold_batch_norm(tensors: Tensors) -> Tensors:
    """Merge every BatchNorm into the convolution before it."""
    folded = {}
    for name, tensor in tensors.items():
        if ".bn." in name:
            continue
        prefix = name.removesuffix(".conv.weight")
        if f"{prefix}.bn.weight" not in tensors:
            folded[name] = tensor
            continue
        norm = {key: tensors[f"{prefix}.bn.{key}"] for key in ("weight", "bias", "running_mean", "running_var")}
        factor = norm["weight"] / torch.sqrt(norm["running_var"] + _BN_EPS)
        folded[name] = tensor * factor.reshape(-1, 1, 1, 1)
        folded[f"{prefix}.conv.bias"] = norm["bias"] - norm["running_mean"] * factor
    return folded


def _name_by_execution_order(network: TrainableNetwork, tensors: Tensors) -> Tensors:
    """Map the numbered initializers of a folded ONNX export, which rise in execution order."""
    numbers = sorted(int(name) for name, tensor in tensors.items() if name.isdigit() and tensor.ndim == 4)
    blocks = _blocks_in_execution_order(network)
    if len(blocks) != len(numbers):
        raise ValueError(f"the file has {len(numbers)} convolutions, the architecture {len(blocks)}")
    named = {name: tensor for name, tensor in tensors.items() if name.startswith("head.")}
    for block, number in zip(blocks, numbers, strict=True):
        named[f"{block}.conv.weight"] = tensors[str(number)]
        named[f"{block}.conv.bias"] = tensors[str(number + 1)]
    return named


def _blocks_in_execution_order(network: TrainableNetwork) -> list[str]:
    order: list[str] = []
    hooks = [
        module.register_forward_hook(lambda _m, _i, _o, name=name: order.append(name))
        for name, module in network.named_modules()
        if isinstance(module, ConvBlock)
    ]
    with torch.inference_mode():
        network(torch.zeros(1, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    return order
