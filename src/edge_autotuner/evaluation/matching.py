"""Which detection found which object: COCO's matching, for all overlap thresholds at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_autotuner.core import Detections
from edge_autotuner.core.types import BoolArray, FloatArray
from edge_autotuner.evaluation.truth import Truth

Float64Array = npt.NDArray[np.float64]

IOU_THRESHOLDS: Float64Array = np.linspace(0.5, 0.95, 10)
"""COCO's ten thresholds .50, .55, ... .95, with the rounding that COCO's own code has."""


@dataclass(frozen=True, eq=False)
class FrameMatch:
    """How one class's detections in one frame were matched.

    Attributes:
        order: (P,) positions of the kept detections in what was given, by falling score.
        is_right: (K, P) found a counted object; K thresholds.
        is_wrong: (K, P) found nothing. A detection that is neither has found an ignored region, or has an
            area below 0, which COCO leaves out.
        matched_truth: (K, P) position in the truth that was given, -1 for none.
    """

    order: npt.NDArray[np.intp]
    is_right: BoolArray
    is_wrong: BoolArray
    matched_truth: npt.NDArray[np.intp]


def match_frame(
    detections: Detections,
    truth: Truth,
    *,
    max_detections: int,
    iou_thresholds: Float64Array = IOU_THRESHOLDS,
) -> FrameMatch:
    """Match the detections of ONE class in one frame, best score first.

    Each detection takes the free object that it overlaps most; only if no object reaches the threshold may it
    fall into an ignored region, whose overlap is the covered share of the detection. Equal scores keep their
    order, of equal overlaps the later object wins.

    Args:
        detections: of one class; N = 0 is allowed.
        truth: of the same class; T = 0 is allowed.
        max_detections: number of best-scoring detections to consider.
        iou_thresholds: (K,) smallest overlaps that count as found, in (0, 1].

    Source:
        COCO matching (pycocotools `COCOeval.evaluateImg`), area range "all".
    """
    order = np.argsort(-detections.scores, kind="stable")[:max_detections]
    overlaps = _overlaps(detections.boxes_xyxy[order], truth)  # (P, T)
    n_thresholds, n_found, n_truths = len(iou_thresholds), len(order), len(truth)
    thresholds = np.minimum(iou_thresholds, 1 - 1e-10)[:, None]  # (K, 1); COCO's guard against rounding
    matched = np.full((n_thresholds, n_found), -1, dtype=np.intp)
    is_free = np.ones((n_thresholds, n_truths), dtype=np.bool_)
    counted = ~truth.is_ignored
    for column in range(n_found if n_truths else 0):
        reaches = (overlaps[column] >= thresholds) & is_free  # (K, T)
        best = _last_best(overlaps[column], reaches & counted)
        best = np.where(best >= 0, best, _last_best(overlaps[column], reaches & truth.is_ignored))
        matched[:, column] = best
        taken = np.flatnonzero((best >= 0) & counted[best])  # regions are never used up
        is_free[taken, best[taken]] = False
    found_any = matched >= 0
    is_region = truth.is_ignored[matched] & found_any if n_truths else np.zeros_like(found_any)
    sides = detections.boxes_xyxy[order, 2:] - detections.boxes_xyxy[order, :2]
    has_area = sides.prod(axis=1) >= 0  # (P,); a box turned inside out is outside COCO's area range "all"
    return FrameMatch(order, found_any & ~is_region, ~found_any & has_area, matched)


def _last_best(overlaps: Float64Array, allowed: BoolArray) -> npt.NDArray[np.intp]:
    """Return (K,): the last position of the largest allowed overlap, -1 where nothing is allowed."""
    values = np.where(allowed, overlaps, -1.0)  # (K, T)
    last = values.shape[1] - 1 - np.argmax(values[:, ::-1], axis=1)
    return np.where(allowed.any(axis=1), last, -1)


def _overlaps(boxes_xyxy: FloatArray, truth: Truth) -> Float64Array:
    """Return (P, T): IoU with objects, covered share of the detection for ignored regions.

    In float64 through widths, as COCO computes it, and not by `core.iou_matrix`, whose float32 puts an
    overlap of exactly .60 on the other side of the threshold .60.
    """
    found = _corner_and_size(boxes_xyxy)[:, None]  # (P, 1, 4)
    true = _corner_and_size(truth.boxes_xyxy)[None]  # (1, T, 4)
    ends = np.minimum(found[..., :2] + found[..., 2:], true[..., :2] + true[..., 2:])
    sides = np.clip(ends - np.maximum(found[..., :2], true[..., :2]), 0, None)
    inter = sides[..., 0] * sides[..., 1]
    found_area, true_area = found[..., 2] * found[..., 3], true[..., 2] * true[..., 3]
    union = np.where(truth.is_ignored, found_area, found_area + true_area - inter)
    return np.asarray(np.divide(inter, union, out=np.zeros_like(inter), where=union > 0))


def _corner_and_size(boxes_xyxy: FloatArray) -> Float64Array:
    boxes = boxes_xyxy.astype(np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
