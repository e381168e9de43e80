"""Scores that ask the student: each costs one inference, disagreement several.

High or low confidence? Where a machine labels, confident frames carry fewer wrong labels: SBAD trains on them. Where a
human reviews, unsure frames carry more news: Geti and Roboflow collect those. Only objects in the motion regions count:
a parked car that is always found would otherwise hide what happens around it.
"""

from __future__ import annotations

import numpy as np

from edge_autotuner.core import Detections, Detector, Frame, MotionResult, box_areas, iou_matrix
from edge_autotuner.core.types import BoolArray, FloatArray

_N_VIEWS = 6
"""Regions looked at for disagreement, the largest: bounds the inferences of one frame."""

_SAME_OBJECT_IOU = 0.5


class ConfidentScore:
    """The highest student score among the objects in the motion regions; 0 without any.

    Source:
        Manjah et al., "Stream-Based Active Distillation for Scalable Model Deployment", CVPR Workshops 2023:
        top-confidence, where the maximum over the objects stands for the frame. Differs: motion regions only.
    """

    is_costly = True

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def score(self, frame: Frame, motion: MotionResult) -> float:
        """Return the highest score, 0..1."""
        found = _objects_in_motion(self._detector, frame, motion)
        return float(found.scores.max()) if len(found) else 0.0


class UnsureScore:
    """One minus the confident score; 1 when something moves that the student does not see at all.

    Source:
        Least confidence of the same paper, which leaves frames without any detection out. Differs: they count
        most here, because motion says that something is there. Geti's inference hooks and Roboflow's active
        learning collect frames of low confidence for human review.
    """

    is_costly = True

    def __init__(self, detector: Detector) -> None:
        self._confident = ConfidentScore(detector)

    def score(self, frame: Frame, motion: MotionResult) -> float:
        """Return the doubt, 0..1."""
        return 1.0 - self._confident.score(frame, motion)


class NearThresholdScore:
    """How close any object in the motion regions comes to `threshold`, the score at which it would be reported.

    Source:
        Roboflow inference, active learning, `close_to_threshold`. Differs: a distance instead of a fixed margin.
    """

    is_costly = True

    def __init__(self, detector: Detector, threshold: float) -> None:
        self._detector = detector
        self._threshold = threshold

    def score(self, frame: Frame, motion: MotionResult) -> float:
        """Return 1 for an object on the threshold, falling to 0 for the farthest possible score or no object."""
        found = _objects_in_motion(self._detector, frame, motion)
        if len(found) == 0:
            return 0.0
        farthest = max(self._threshold, 1 - self._threshold)
        return float(1 - np.abs(found.scores - self._threshold).min() / farthest)


class DisagreementScore:
    """How much the student's answer differs between a region in the whole frame and the region alone, enlarged.

    What it sees close up and misses from afar, or the other way round, is what it can learn: the README of the code
    of Rivas et al. 2021 reports that an untrained edge model finds the car in 89 % of the motion crops and in 16 % of
    the full frames. One inference for the frame and one for each of the largest six regions. Only
    objects with at least `threshold` count.
    """

    is_costly = True

    def __init__(self, detector: Detector, threshold: float) -> None:
        self._detector = detector
        self._threshold = threshold

    def score(self, frame: Frame, motion: MotionResult) -> float:
        """Return the share, 0..1, of objects of either view that the other one lacks; 0 when neither has any."""
        whole = self._detector.detect(frame.image_bgr).above(self._threshold)
        n_objects = n_matched = 0
        for region in _largest(motion.regions_xyxy, _N_VIEWS):
            from_afar = _within(whole, region)
            close_up = self._look_close(frame, region)
            n_objects += len(from_afar) + len(close_up)
            n_matched += 2 * _count_matches(from_afar, close_up)
        return 1.0 - n_matched / n_objects if n_objects else 0.0

    def _look_close(self, frame: Frame, region_xyxy: FloatArray) -> Detections:
        x1, y1 = np.floor(region_xyxy[:2]).astype(int)
        x2, y2 = np.ceil(region_xyxy[2:]).astype(int)
        found = self._detector.detect(np.ascontiguousarray(frame.image_bgr[y1:y2, x1:x2]))
        return found.above(self._threshold).shifted(float(x1), float(y1))


def _objects_in_motion(detector: Detector, frame: Frame, motion: MotionResult) -> Detections:
    """Return the detections whose centre is in a region."""
    found = detector.detect(frame.image_bgr)
    return found.select(np.flatnonzero(_centres_inside(found, motion.regions_xyxy).any(axis=1)))


def _within(found: Detections, region_xyxy: FloatArray) -> Detections:
    """Return the detections whose centre is in one region, cut to it, as a look at the region alone shows them."""
    inside = found.select(_centres_inside(found, region_xyxy[None])[:, 0])
    boxes = inside.boxes_xyxy
    cut = np.concatenate([np.maximum(boxes[:, :2], region_xyxy[:2]), np.minimum(boxes[:, 2:], region_xyxy[2:])], axis=1)
    return inside.with_boxes(cut)


def _centres_inside(found: Detections, regions_xyxy: FloatArray) -> BoolArray:
    """Return (N, R)."""
    centres = (found.boxes_xyxy[:, None, :2] + found.boxes_xyxy[:, None, 2:]) / 2
    is_inside = (centres >= regions_xyxy[None, :, :2]) & (centres < regions_xyxy[None, :, 2:])
    return np.asarray(is_inside.all(axis=-1), bool)


def _largest(regions_xyxy: FloatArray, n: int) -> FloatArray:
    return regions_xyxy[np.argsort(-box_areas(regions_xyxy), kind="stable")[:n]]


def _count_matches(a: Detections, b: Detections) -> int:
    """Return how many objects both have: same class, overlap of a half; each is matched once, best overlap first."""
    ious = iou_matrix(a.boxes_xyxy, b.boxes_xyxy) * (a.class_ids[:, None] == b.class_ids[None, :])
    n_matches = 0
    while ious.size and ious.max() >= _SAME_OBJECT_IOU:
        row, column = np.unravel_index(ious.argmax(), ious.shape)
        ious[row], ious[:, column] = 0, 0
        n_matches += 1
    return n_matches
