"""Non-maximum suppression."""

from __future__ import annotations

import cv2
import numpy as np

from edge_autotuner.core.detections import Detections
from edge_autotuner.core.types import FloatArray, IntArray


def nms_per_class(detections: Detections, iou: float) -> Detections:
    """Keep the best of each group of overlapping boxes of one class; see `best_boxes`."""
    return detections.select(best_boxes(detections.boxes_xyxy, detections.scores, detections.class_ids, iou))


def best_boxes(boxes_xyxy: FloatArray, scores: FloatArray, class_ids: IntArray, iou: float) -> IntArray:
    """Return the indices of the best of each group of overlapping (N, 4) boxes of one class, by falling score.

    Greedy: the best box removes all boxes of its class that overlap it by more than `iou`, then the best of the rest,
    and so on. Boxes without area are dropped. Equal scores keep their order.

    Raises:
        ValueError: `iou` is out of range.
    """
    if not 0 < iou <= 1:
        raise ValueError(f"iou must be in (0, 1], got {iou}")
    with_area = np.flatnonzero((boxes_xyxy[:, 2] > boxes_xyxy[:, 0]) & (boxes_xyxy[:, 3] > boxes_xyxy[:, 1]))
    if len(with_area) == 0:
        return with_area
    corners = boxes_xyxy[with_area].astype(np.float64)
    # OpenCV moves classes apart by the largest coordinate, which fails for negative ones: start at zero.
    top_left = corners[:, :2] - corners[:, :2].min(axis=0)
    boxes_xywh = np.concatenate([top_left, corners[:, 2:] - corners[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(
        boxes_xywh.tolist(), scores[with_area].tolist(), class_ids[with_area].tolist(), -1.0, iou
    )
    return with_area[np.asarray(kept, np.int64).reshape(-1)]
