"""Removes boxes that say the same thing twice."""

from __future__ import annotations

import cv2
import numpy as np

from edge_autotuner.core.detections import Detections


def nms_per_class(detections: Detections, iou: float) -> Detections:
    """Keep the best of each group of overlapping boxes of one class, by falling score.

    Greedy: the best box removes all boxes of its class that overlap it by more than `iou`, then the best of
    the rest, and so on. Boxes without area are dropped. Equal scores keep their order.

    Args:
        detections: in any order; not changed.
        iou: largest overlap that two kept boxes of a class may have, in (0, 1].

    Raises:
        ValueError: `iou` is out of range.
    """
    if not 0 < iou <= 1:
        raise ValueError(f"iou must be in (0, 1], got {iou}")
    boxes = detections.boxes_xyxy
    detections = detections.select((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
    if len(detections) == 0:
        return Detections.empty()
    corners = detections.boxes_xyxy.astype(np.float64)
    # OpenCV moves classes apart by the largest coordinate, which fails for negative ones: start at zero.
    top_left = corners[:, :2] - corners[:, :2].min(axis=0)
    boxes_xywh = np.concatenate([top_left, corners[:, 2:] - corners[:, :2]], axis=1)
    scores, class_ids = detections.scores.tolist(), detections.class_ids.tolist()
    kept = cv2.dnn.NMSBoxesBatched(boxes_xywh.tolist(), scores, class_ids, -1.0, iou)
    return detections.select(np.asarray(kept, np.int64).reshape(-1))
