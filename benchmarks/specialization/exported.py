"""How good the labels that a run exports are: boxes of `annotations.coco.json` against human boxes, frame by frame."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.core.boxes import xywh_to_xyxy
from edge_autotuner.dataset import load_coco_truth
from edge_autotuner.errors import EvaluationError
from edge_autotuner.evaluation import Truth, count_found


@dataclass(frozen=True)
class LabelQuality:
    """Boxes of one split that a COCO tool takes for labels: those without `iscrowd`.

    Attributes:
        n_frames: with human boxes.
        n_labels: boxes.
        precision: share of them that a human drew, too (IoU 0.5).
        recall: share of the human boxes that have a label.
        n_below: labels with a score below 0.3.
    """

    n_frames: int
    n_labels: int
    precision: float
    recall: float
    n_below: int


def measure_exported(
    coco: Path, ground_truth: Path, *, name: str, map_classes: Mapping[str, str]
) -> dict[str, LabelQuality]:
    """Compare the exported boxes of one class with human boxes; return what was found by split.

    Raises:
        EvaluationError: the ground truth cannot be read, or names no frame of the file.
    """
    values = json.loads(coco.read_text(encoding="utf-8"))
    labels = LabelMap((name,))
    truth = load_coco_truth(ground_truth, labels=labels, map_classes=map_classes)
    wanted = next(category["id"] for category in values["categories"] if category["name"] == name)
    by_image: dict[int, list[dict[str, Any]]] = {}
    for one in values["annotations"]:
        if one["category_id"] == wanted and not one["iscrowd"]:
            by_image.setdefault(one["image_id"], []).append(one)
    found: dict[str, list[tuple[Detections, Truth]]] = {}
    for image in values["images"]:
        boxes = truth.for_frame(image["frame_index"], image["source_file_name"])
        if boxes is not None:
            said = _detections(by_image.get(image["id"], []))
            found.setdefault(image["split"], []).append((said, Truth(*boxes)))
    if not found:
        raise EvaluationError(f"{ground_truth} names no frame of {coco}")
    return {split: _quality(frames) for split, frames in found.items()}


def _detections(boxes: list[dict[str, Any]]) -> Detections:
    corners = xywh_to_xyxy(np.array([one["bbox"] for one in boxes], np.float32).reshape(-1, 4))
    return Detections(corners, np.array([one["score"] for one in boxes], np.float32), np.zeros(len(boxes), np.int64))


def _quality(frames: list[tuple[Detections, Truth]]) -> LabelQuality:
    said, truths = [one for one, _ in frames], [truth for _, truth in frames]
    counts = count_found(said, truths, min_score=0.0)
    n_labels = sum(len(one) for one in said)
    n_below = int(sum((one.scores < 0.3).sum() for one in said))
    return LabelQuality(
        len(frames),
        n_labels,
        counts.n_found / n_labels if n_labels else float("nan"),
        counts.found_fraction,
        n_below,
    )
