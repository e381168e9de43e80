"""Inputs and outputs of the losses of all architectures."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

_HEAD = struct.Struct("<II?")  # objects, outputs, whether there are weights
_BOX_BYTES, _CLASS_BYTES, _WEIGHT_BYTES = 16, 8, 4


@dataclass(frozen=True)
class Target:
    """Labels of one picture.

    Attributes:
        boxes_xyxy: (G, 4) labelled boxes, input pixels.
        class_ids: (G,) int64.
        is_known: (N,) bool, outputs that may count as background.
        weights: (G,) of the labels, in [0, 1]; None: all 1.
    """

    boxes_xyxy: Tensor
    class_ids: Tensor
    is_known: Tensor
    weights: Tensor | None = None

    def weights_of(self, objects: Tensor) -> Tensor:
        """Return (P,) the weights of these labels."""
        if self.weights is None:
            return self.boxes_xyxy.new_ones(len(objects))
        return self.weights[objects]

    def to(self, device: torch.device) -> Target:
        """Return the same on another device."""
        weights = None if self.weights is None else self.weights.to(device)
        return Target(self.boxes_xyxy.to(device), self.class_ids.to(device), self.is_known.to(device), weights)


def pack_target(target: Target) -> bytes:
    """Return a target as bytes without pickle; `unpack_target` restores its values bit for bit.

    Boxes and weights are kept as float32, classes as int64, `is_known` as one bit per output.
    """
    n_objects, n_outputs = len(target.boxes_xyxy), len(target.is_known)
    parts = [
        _HEAD.pack(n_objects, n_outputs, target.weights is not None),
        target.boxes_xyxy.cpu().numpy().astype("<f4").tobytes(),
        target.class_ids.cpu().numpy().astype("<i8").tobytes(),
    ]
    if target.weights is not None:
        parts.append(target.weights.cpu().numpy().astype("<f4").tobytes())
    parts.append(np.packbits(target.is_known.cpu().numpy()).tobytes())
    return b"".join(parts)


def unpack_target(data: bytes) -> Target:
    """Return the target packed by `pack_target`.

    Raises:
        ValueError: the bytes do not come from `pack_target`.
    """
    if len(data) < _HEAD.size:
        raise ValueError(f"a packed target has at least {_HEAD.size} bytes, got {len(data)}")
    n_objects, n_outputs, has_weights = _HEAD.unpack_from(data)
    lengths = [_BOX_BYTES * n_objects, _CLASS_BYTES * n_objects, _WEIGHT_BYTES * n_objects * has_weights]
    ends = np.cumsum([_HEAD.size, *lengths, -(-n_outputs // 8)])
    if ends[-1] != len(data):
        raise ValueError(
            f"a target of {n_objects} objects and {n_outputs} outputs has {ends[-1]} bytes, got {len(data)}"
        )
    boxes, class_ids, weights, bits = (data[start:end] for start, end in pairwise(ends))
    is_known = np.unpackbits(np.frombuffer(bits, np.uint8), count=n_outputs).astype(bool)
    return Target(
        torch.from_numpy(np.frombuffer(boxes, "<f4").astype(np.float32).reshape(-1, 4)),
        torch.from_numpy(np.frombuffer(class_ids, "<i8").astype(np.int64)),
        torch.from_numpy(is_known),
        torch.from_numpy(np.frombuffer(weights, "<f4").astype(np.float32)) if has_weights else None,
    )


@dataclass(frozen=True)
class Assignment:
    """Assignment of outputs to objects.

    Attributes:
        cells: (P,) indices of the positive outputs, rising.
        objects: (P,) their objects.
        ious: (P,) overlap of the predicted box with the object.
    """

    cells: Tensor
    objects: Tensor
    ious: Tensor


@dataclass(frozen=True)
class LossParts:
    """The loss and its parts: scalars, sums divided by the number of positive outputs.

    Architectures without objectness have an objectness loss of zero.
    """

    total: Tensor
    box: Tensor
    objectness: Tensor
    classes: Tensor
    distillation: Tensor
    n_positive: int

    @property
    def divisor(self) -> int:
        """What the sums were divided by."""
        return max(self.n_positive, 1)


def join_losses(parts: Sequence[LossParts]) -> LossParts:
    """Combine the losses of microbatches, without gradients."""
    n_positive = sum(part.n_positive for part in parts)

    def joined(name: str) -> Tensor:
        sums = [getattr(part, name).detach() * part.divisor for part in parts]
        return torch.stack(sums).sum() / max(n_positive, 1)

    return LossParts(
        joined("total"), joined("box"), joined("objectness"), joined("classes"), joined("distillation"), n_positive
    )
