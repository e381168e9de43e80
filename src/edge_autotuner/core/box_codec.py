"""Encodes boxes: as JSON columns and bytes that keep every float32 exactly, and as rounded rows for other tools."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_autotuner.core.boxes import as_boxes, box_areas, xyxy_to_xywh
from edge_autotuner.core.detections import Detections
from edge_autotuner.core.json_fields import Fields
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.types import FloatArray

_COUNT = struct.Struct("<I")
_BYTES_EACH = 4 * 4 + 4 + 4

Box = tuple[float, float, float, float]


class BoxCodec:
    """Writes and reads `Detections`; the codec of the task "boxes"."""

    def to_json(self, found: Detections) -> dict[str, Any]:
        """Return columns of the shortest numbers that stand for the same float32; the form on disk."""
        return {
            "boxes_xyxy": [list(box) for box in boxes_to_tuples(found.boxes_xyxy)],
            "scores": short_floats(found.scores),
            "class_ids": found.class_ids.tolist(),
        }

    def from_json(self, fields: Fields) -> Detections:
        """Read what `to_json` returned, beside other keys.

        Raises:
            ValueError: a column is missing, of another type or of another length.
        """
        return Detections(
            boxes_of(fields, "boxes_xyxy"),
            np.asarray(fields.numbers("scores"), np.float32),
            np.asarray(fields.wholes("class_ids"), np.int64),
        )

    def to_columns(self, found: Detections) -> dict[str, Any]:
        """Return columns of float64; the form on the wire."""
        return {
            "boxes_xyxy": tuple(map(tuple, found.boxes_xyxy.tolist())),
            "scores": tuple(found.scores.tolist()),
            "class_ids": tuple(found.class_ids.tolist()),
        }

    def from_columns(self, columns: Mapping[str, Any]) -> Detections:
        """Read columns whose types have been checked."""
        return Detections(columns["boxes_xyxy"], columns["scores"], columns["class_ids"])

    def to_bytes(self, found: Detections) -> bytes:
        """Return a count, then boxes, scores and classes as little-endian numbers."""
        return b"".join(
            [
                _COUNT.pack(len(found)),
                found.boxes_xyxy.astype("<f4").tobytes(),
                found.scores.astype("<f4").tobytes(),
                found.class_ids.astype("<i4").tobytes(),
            ]
        )

    def from_bytes(self, content: bytes) -> Detections:
        """Read what `to_bytes` returned.

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
        found = Detections(boxes, scores, np.frombuffer(content, "<i4", n, _COUNT.size + 20 * n))
        if not found.is_finite:
            raise ValueError("numbers that are not finite are not detections")
        return found

    def to_rows(self, found: Detections, labels: LabelMap) -> list[dict[str, Any]]:
        """Return one object per box for people and home automation: class name, score and box to a tenth of a pixel."""
        return [
            {"class": labels[class_id], "score": round(score, 4), "box_xyxy": [round(side, 1) for side in box]}
            for class_id, score, box in zip(
                found.class_ids.tolist(), found.scores.tolist(), found.boxes_xyxy.tolist(), strict=True
            )
        ]

    def to_coco_results(self, found: Detections) -> list[dict[str, Any]]:
        """Return `bbox` and `score` of a COCO result record for each box."""
        return [
            {"bbox": [round(value, 2) for value in box], "score": round(score, 5)}
            for box, score in zip(xyxy_to_xywh(found.boxes_xyxy).tolist(), found.scores.tolist(), strict=True)
        ]

    def to_coco_labels(self, found: Detections) -> list[dict[str, Any]]:
        """Return the geometry of a COCO annotation for each box; its mask is its outline, as pycocotools makes it."""
        return [
            {
                "bbox": [round(value, 4) for value in (x1, y1, x2 - x1, y2 - y1)],
                "area": round(area, 2),
                "segmentation": [[round(value, 4) for value in (x1, y1, x1, y2, x2, y2, x2, y1)]],
            }
            for (x1, y1, x2, y2), area in zip(
                found.boxes_xyxy.tolist(), box_areas(found.boxes_xyxy).tolist(), strict=True
            )
        ]


BOX_CODEC = BoxCodec()


def boxes_of(fields: Fields, key: str) -> FloatArray:
    """Return a field as (N, 4) corners.

    Raises:
        ValueError: it is something else.
    """
    return as_boxes(fields.rows(key, 4))


def boxes_to_tuples(boxes_xyxy: FloatArray) -> tuple[Box, ...]:
    """Return the boxes as tuples of the shortest numbers that stand for the same float32."""
    return tuple((a, b, c, d) for a, b, c, d in map(short_floats, boxes_xyxy))


def short_floats(values: FloatArray) -> list[float]:
    """Return the numbers with the fewest digits that stand for the same float32."""
    return [short_float(value) for value in values]


def short_float(value: np.float32) -> float:
    """Return the number with the fewest digits that stands for the same float32."""
    return float(str(np.float32(value)))  # str of a float32 is the shortest text that reads back as the same float32
