"""Divides what a teacher says into objects and places that are neither object nor background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Detections
from edge_autotuner.core.types import FloatArray


@dataclass(frozen=True, eq=False)
class TrainingLabels:
    """Labels of one frame, frame pixels.

    Attributes:
        objects: those with a score from `min_score` on.
        ignored_xyxy: (K, 4) places that are neither object nor background.
        looked_xyxy: (R, 4) what the teacher has seen; outside of it nothing is known.
    """

    objects: Detections
    ignored_xyxy: FloatArray
    looked_xyxy: FloatArray


def split_labels(annotation: Annotation, config: AnnotationConfig) -> TrainingLabels:
    """Divide boxes by score: objects from `min_score` on, uncertain ones from `uncertain_score` on.

    Boxes below both are dropped: their places are background. Boxes that were made uncertain on purpose stay
    uncertain even when the band is empty because both thresholds are equal.
    """
    found = annotation.detections
    lowest = min(config.uncertain_score, highest_uncertain_score(config))
    uncertain = found.select((found.scores < config.min_score) & (found.scores >= lowest))
    return TrainingLabels(found.above(config.min_score), uncertain.boxes_xyxy, annotation.looked_xyxy)


def highest_uncertain_score(config: AnnotationConfig) -> float:
    """Return the largest float32 below `min_score`."""
    return float(np.nextafter(np.float32(config.min_score), np.float32(0)))


def as_uncertain(detections: Detections, config: AnnotationConfig) -> Detections:
    """Return the boxes with scores just below `min_score` at most, so that training ignores their places."""
    scores = np.minimum(detections.scores, np.float32(highest_uncertain_score(config)))
    return detections.with_scores(scores)
