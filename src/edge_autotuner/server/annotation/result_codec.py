"""Detections as bytes for the cache: a count, then boxes, scores and classes as little-endian numbers."""

from __future__ import annotations

import struct

import numpy as np

from edge_autotuner.core.detections import Detections

_COUNT = struct.Struct("<I")
_BYTES_EACH = 4 * 4 + 4 + 4


def pack(found: Detections) -> bytes:
    """Return detections as bytes; every number comes back exactly."""
    return b"".join(
        [
            _COUNT.pack(len(found)),
            found.boxes_xyxy.astype("<f4").tobytes(),
            found.scores.astype("<f4").tobytes(),
            found.class_ids.astype("<i4").tobytes(),
        ]
    )


def unpack(content: bytes) -> Detections:
    """Read what `pack` returned.

    Raises:
        ValueError: these bytes are something else.
    """
    if len(content) < _COUNT.size:
        raise ValueError(f"{len(content)} bytes are not detections")
    (n,) = _COUNT.unpack_from(content)
    if len(content) != _COUNT.size + n * _BYTES_EACH:
        raise ValueError(f"{len(content)} bytes are not {n} detections")
    boxes = np.frombuffer(content, "<f4", 4 * n, _COUNT.size).reshape(n, 4)
    scores = np.frombuffer(content, "<f4", n, _COUNT.size + 16 * n)
    class_ids = np.frombuffer(content, "<i4", n, _COUNT.size + 20 * n)
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise ValueError("numbers that are not finite are not detections")
    return Detections(boxes, scores, class_ids)
