"""COCO's average precision by faster-coco-eval, the published protocol: the reference for our own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import faster_coco_eval
import numpy as np

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.core.types import FloatArray
from edge_autotuner.evaluation import Truth


def reference_scores(
    detections: Sequence[Detections], truths: Sequence[Truth], labels: LabelMap, *, max_detections: int = 300
) -> tuple[float, float]:
    """Return (AP50, AP50:95), the means over the classes that have a truth; nan without any."""
    counted = {int(c) for truth in truths for c in truth.class_ids[~truth.is_ignored]}
    if not counted:
        return math.nan, math.nan
    truth = faster_coco_eval.COCO(_truth_file(truths, labels))
    found = truth.loadRes(_result_records(detections))
    # One limit only: the usual [1, 10, limit] is sorted by the library, which breaks limits below 10.
    evaluation = faster_coco_eval.COCOeval_faster(truth, found, "bbox", print_function=lambda *_: None)
    evaluation.params.maxDets = [max_detections]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"])[:, :, sorted(counted), 0, 0]  # (10, 101, C)
    return float(precision[0].mean()), float(precision.mean())


def _truth_file(truths: Sequence[Truth], labels: LabelMap) -> dict[str, Any]:
    rows = [
        (image_id, *row)
        for image_id, truth in enumerate(truths, start=1)
        for row in zip(_xywh(truth.boxes_xyxy), truth.class_ids.tolist(), truth.is_ignored.tolist(), strict=True)
    ]
    annotations = [
        {
            "id": number,
            "image_id": image_id,
            "category_id": class_id + 1,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": int(is_ignored),
        }
        for number, (image_id, box, class_id, is_ignored) in enumerate(rows, start=1)
    ]
    return {
        "images": [{"id": image_id} for image_id in range(1, len(truths) + 1)],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(labels, start=1)],
    }


def _result_records(detections: Sequence[Detections]) -> list[dict[str, Any]]:
    return [
        {"image_id": image_id, "category_id": class_id + 1, "bbox": box, "score": score}
        for image_id, found in enumerate(detections, start=1)
        for box, class_id, score in zip(
            _xywh(found.boxes_xyxy), found.class_ids.tolist(), found.scores.tolist(), strict=True
        )
    ]


def _xywh(boxes_xyxy: FloatArray) -> list[list[float]]:
    """Return COCO boxes; float64, since a difference of two large float32 corners loses digits."""
    boxes = boxes_xyxy.astype(np.float64)
    rows: list[list[float]] = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()
    return rows
