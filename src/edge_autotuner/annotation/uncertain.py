"""The band of scores in which a box is neither an object nor background."""

from __future__ import annotations

import numpy as np

from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Detections


def highest_uncertain_score(config: AnnotationConfig) -> float:
    """Return the largest float32 below `min_score`."""
    return float(np.nextafter(np.float32(config.min_score), np.float32(0)))


def as_uncertain(detections: Detections, config: AnnotationConfig) -> Detections:
    """Return the boxes with scores just below `min_score` at most, so that training ignores their places."""
    scores = np.minimum(detections.scores, np.float32(highest_uncertain_score(config)))
    return detections.with_scores(scores)
