"""What an annotation means for training."""

from __future__ import annotations

from dataclasses import dataclass

from edge_autotuner.annotation.uncertain import highest_uncertain_score
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
