"""Makes one set of boxes of what a detector saw in several views, or several teachers saw in one frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_autotuner.annotation.views import View
from edge_autotuner.core import Detections, iou_matrix
from edge_autotuner.core.types import BoolArray, FloatArray, IntArray
from edge_autotuner.models.nms import nms_per_class


def is_cut(detections: Detections, view: View, border_px: float) -> BoolArray:
    """Return (N,) whether each box, in frame pixels, comes within `border_px` of an inner side of its view.

    Only inner sides cut: an object at the border of the frame is whole, as far as anybody can see.
    """
    x1, y1, x2, y2 = view.rect_xyxy
    boxes = detections.boxes_xyxy
    gaps = np.stack([boxes[:, 0] - x1, boxes[:, 1] - y1, x2 - boxes[:, 2], y2 - boxes[:, 3]], axis=1)  # (N, 4)
    touches = gaps <= border_px
    return np.asarray((touches & np.array(view.is_inner)).any(axis=1), np.bool_)


def merge_views(
    found: Sequence[Detections], *, merge_iou: float, max_detections: int, same_object_iou: float | None = None
) -> Detections:
    """Join the detections of all views, in frame pixels; of boxes of one class that overlap, the best stays.

    `merge_iou` is the largest overlap of two boxes of a class that both stay, `same_object_iou` that of boxes of
    different classes, None for no limit. Returns the best `max_detections`, unchanged, by falling score.
    """
    merged = nms_per_class(Detections.concatenate(found), merge_iou).sorted_by_score()
    if same_object_iou is not None:
        merged = keep_one_class(merged, same_object_iou)
    return merged.sorted_by_score(max_detections)


def keep_one_class(detections: Detections, iou: float) -> Detections:
    """Give each object one class: drop a box when a better one of another class overlaps it by more than `iou`.

    The detections come by falling score. Detectors with several outputs per place call one thing car and truck at once.
    Measured with deimv2_femto in tiles on 59 pictures of NGSIM seq 1: of 3,568 street labels from score 0.3 on, 1,578
    repeat an object (overlap above 0.7).
    """
    overlap = iou_matrix(detections.boxes_xyxy, detections.boxes_xyxy)
    rivals = (overlap > iou) & (detections.class_ids[:, None] != detections.class_ids[None, :])  # (N, N)
    kept = np.ones(len(detections), np.bool_)
    for i in range(len(detections)):
        kept[i] = not (rivals[i, :i] & kept[:i]).any()
    return detections.select(kept)


Float64Array = npt.NDArray[np.float64]


def fuse_boxes(
    found: Sequence[Detections],
    *,
    weights: Sequence[float],
    knows: BoolArray,
    fusion_iou: float,
    same_object_iou: float | None = None,
) -> Detections:
    """Fuse the boxes of T teachers on one frame: weighted boxes fusion.

    Suppression would keep the surest teacher's box and drop the others. Fusion averages them, and a box that only one
    of several teachers saw loses score.

    Args:
        found: one item per teacher, frame pixels; class ids are columns of `knows`.
        weights: (T,) how much each teacher counts, positive.
        knows: (T, C) bool; a teacher that does not know a class does not vote against it.
        fusion_iou: boxes of a class join a fused box that they overlap by more.
        same_object_iou: boxes of another class join a fused box that they overlap by more; None: never.

    Returns:
        Fused boxes by falling score; further fields are those of the surest box. A score is the weighted mean over the
        teachers that know the class, where a teacher without a box counts as 0. One teacher whose boxes are apart gets
        them back unchanged. The order of the teachers changes nothing but rounding.

    Raises:
        ValueError: the numbers of teachers, weights and rows of `knows` differ, or a weight is not positive.

    Source:
        Solovyev et al., Image and Vision Computing 107, 2021, arXiv 1910.13302. Differs: an average runs over the
        teachers that know the class, and boxes of different classes that overlap very much are one object, whose class
        the teachers vote for.
    """
    if not len(found) == len(weights) == len(knows) or not all(weight > 0 for weight in weights):
        raise ValueError(f"{len(found)} teachers need as many positive weights and rows, got {weights}, {len(knows)}")
    boxes, owners = _sorted_boxes(found, np.asarray(weights, np.float64))
    clusters: list[list[int]] = []
    fused_xyxy: FloatArray = np.zeros((0, 4), np.float32)
    fused_classes: IntArray = np.zeros(0, np.int64)
    weighted = boxes.scores * np.asarray(weights, np.float64)[owners]
    for i in range(len(boxes)):
        best = _best_cluster(boxes, i, fused_xyxy, fused_classes, fusion_iou, same_object_iou)
        if best is None:
            clusters.append([i])
            fused_xyxy = np.concatenate([fused_xyxy, boxes.boxes_xyxy[i : i + 1]])
            fused_classes = np.append(fused_classes, boxes.class_ids[i])
            continue
        clusters[best].append(i)
        members = clusters[best]
        mean_xyxy = np.average(boxes.boxes_xyxy[members].astype(np.float64), axis=0, weights=weighted[members])
        fused_xyxy[best] = mean_xyxy
        fused_classes[best] = voted_class(boxes.class_ids[members], weighted[members])
    total = knows.T @ np.asarray(weights, np.float64)  # (C,)
    n_voters = knows.sum(axis=0)  # (C,)
    scores = [
        weighted[cluster].mean() * min(len(cluster), n_voters[class_id]) / total[class_id]
        for cluster, class_id in zip(clusters, fused_classes.tolist(), strict=True)
    ]
    surest = boxes.select(np.array([cluster[0] for cluster in clusters], np.int64))
    return surest.with_boxes(fused_xyxy).with_scores(scores).with_classes(fused_classes).sorted_by_score()


def _sorted_boxes(found: Sequence[Detections], weights: Float64Array) -> tuple[Detections, IntArray]:
    """Return all boxes by falling weighted score and their teachers; ties are broken by the boxes themselves."""
    together = Detections.concatenate(found)
    owners = np.repeat(np.arange(len(found)), [len(one) for one in found])
    keys = [*together.boxes_xyxy.T, together.class_ids, -together.scores * weights[owners]]
    order = np.lexsort(keys)
    return together.select(order), owners[order]


def _best_cluster(
    boxes: Detections,
    i: int,
    fused_xyxy: FloatArray,
    fused_classes: IntArray,
    fusion_iou: float,
    same_object_iou: float | None,
) -> int | None:
    """Return the index of the fused box that the i-th box joins."""
    if len(fused_classes) == 0:
        return None
    overlap = iou_matrix(boxes.boxes_xyxy[i : i + 1], fused_xyxy)[0]
    other_limit = np.inf if same_object_iou is None else same_object_iou
    joins = overlap > np.where(fused_classes == boxes.class_ids[i], fusion_iou, other_limit)
    return int(np.argmax(np.where(joins, overlap, -1.0))) if joins.any() else None


def voted_class(class_ids: IntArray, weights: Float64Array) -> int:
    """Return the class with the largest sum of scores; the smallest id of equal ones."""
    return int(np.argmax(np.bincount(class_ids, weights=weights)))
