"""Divides a teacher's boxes into objects and places that are neither object nor background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Detections
from edge_autotuner.core.annotations import highest_uncertain_score, score_bands
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
    """Divide boxes by score; see `core.annotations.score_bands`."""
    found = annotation.detections
    is_object, is_uncertain = score_bands(
        found.scores, min_score=config.min_score, uncertain_score=config.uncertain_score
    )
    return TrainingLabels(found.select(is_object), found.boxes_xyxy[is_uncertain], annotation.looked_xyxy)


def as_uncertain(detections: Detections, config: AnnotationConfig) -> Detections:
    """Return the boxes with scores just below `min_score` at most, so that training ignores their places."""
    limit = np.float32(highest_uncertain_score(config.min_score))
    return detections.with_scores(np.minimum(detections.scores, limit))
