"""Targets as a few bytes, without pickle, so that they can be kept beside the features of their picture."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import torch

from edge_autotuner.training.targets import Target

_HEAD = struct.Struct("<II?")  # objects, places, whether there are weights
_BOX_BYTES, _CLASS_BYTES, _WEIGHT_BYTES = 16, 8, 4


def pack_target(target: Target) -> bytes:
    """Return a target as bytes; `unpack_target` gives back its values bit for bit.

    Boxes and weights are kept as float32, classes as int64, and what is known as one bit for each place.
    """
    n_objects, n_places = len(target.boxes_xyxy), len(target.is_known)
    parts = [
        _HEAD.pack(n_objects, n_places, target.weights is not None),
        target.boxes_xyxy.cpu().numpy().astype("<f4").tobytes(),
        target.class_ids.cpu().numpy().astype("<i8").tobytes(),
    ]
    if target.weights is not None:
        parts.append(target.weights.cpu().numpy().astype("<f4").tobytes())
    parts.append(np.packbits(target.is_known.cpu().numpy()).tobytes())
    return b"".join(parts)


def unpack_target(data: bytes) -> Target:
    """Return the target that `pack_target` made these bytes of.

    Raises:
        ValueError: they are not what `pack_target` makes.
    """
    if len(data) < _HEAD.size:
        raise ValueError(f"a packed target has at least {_HEAD.size} bytes, got {len(data)}")
    n_objects, n_places, has_weights = _HEAD.unpack_from(data)
    lengths = [_BOX_BYTES * n_objects, _CLASS_BYTES * n_objects, _WEIGHT_BYTES * n_objects * has_weights]
    ends = np.cumsum([_HEAD.size, *lengths, -(-n_places // 8)])
    if ends[-1] != len(data):
        raise ValueError(f"a target of {n_objects} objects and {n_places} places has {ends[-1]} bytes, got {len(data)}")
    boxes, class_ids, weights, bits = (data[start:end] for start, end in pairwise(ends))
    is_known = np.unpackbits(np.frombuffer(bits, np.uint8), count=n_places).astype(bool)
    return Target(
        torch.from_numpy(np.frombuffer(boxes, "<f4").astype(np.float32).reshape(-1, 4)),
        torch.from_numpy(np.frombuffer(class_ids, "<i8").astype(np.int64)),
        torch.from_numpy(is_known),
        torch.from_numpy(np.frombuffer(weights, "<f4").astype(np.float32)) if has_weights else None,
    )
