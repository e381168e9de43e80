"""Which boxes of a picture an operating point shows."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from edge_autotuner.core.detections import Detections
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.operating_point import OperatingPoint
from edge_autotuner.core.types import BoolArray
from edge_autotuner.models.nms import best_boxes

_DetectionsT = TypeVar("_DetectionsT", bound=Detections)


def only_shown(detections: _DetectionsT, point: OperatingPoint, labels: LabelMap) -> _DetectionsT:
    """Return the boxes that the point shows, in their order."""
    return detections.select(is_shown(detections, point, labels))


def is_shown(detections: Detections, point: OperatingPoint, labels: LabelMap) -> BoolArray:
    """Return (N,): whether each box is shown.

    In this order: minimum score of its class, suppression within its class, suppression between classes.

    Args:
        detections: of one picture, class ids of `labels`, already suppressed as the model's spec says.
        point: the operating point.
        labels: the detector's classes.
    """
    shown = detections.scores >= point.min_scores(labels)[detections.class_ids]
    overlaps = point.nms_ious(labels)[detections.class_ids]  # (N,)
    for iou in np.unique(overlaps[shown]).tolist():
        if iou < 1:
            _suppress_inplace_(shown, detections, shown & (overlaps == iou), detections.class_ids, iou)
    if point.twin_iou is not None:
        _suppress_inplace_(shown, detections, shown.copy(), np.zeros_like(detections.class_ids), point.twin_iou)
    return np.asarray(shown, np.bool_)


def _suppress_inplace_(
    shown: BoolArray, detections: Detections, among: BoolArray, groups: np.ndarray, iou: float
) -> None:
    rows = np.flatnonzero(among)
    kept = best_boxes(detections.boxes_xyxy[rows], detections.scores[rows], groups[rows], iou)
    shown[rows] = False
    shown[rows[kept]] = True
