"""Scores decide what a box means."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.annotation import split_labels
from edge_autotuner.annotation.labels import as_uncertain
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Detections
from edge_autotuner.core.annotations import highest_uncertain_score


def scored(*scores: float) -> Annotation:
    boxes = np.array([[i, 0, i + 1, 1] for i in range(len(scores))], np.float32)
    detections = Detections(boxes, np.array(scores), np.arange(len(scores)))
    return Annotation(detections, np.array([[0, 0, 9, 9]], np.float32))


def test_bands() -> None:
    labels = split_labels(scored(0.9, 0.3, 0.29, 0.1, 0.09), AnnotationConfig())
    assert labels.objects.boxes_xyxy[:, 0].tolist() == [0, 1]
    assert labels.objects.class_ids.tolist() == [0, 1]
    assert labels.objects.scores.tolist() == pytest.approx([0.9, 0.3])
    assert labels.ignored_xyxy[:, 0].tolist() == [2, 3]
    assert labels.looked_xyxy.tolist() == [[0, 0, 9, 9]]


def test_empty() -> None:
    labels = split_labels(Annotation.nothing_seen(), AnnotationConfig())
    shapes = [
        part.shape
        for part in (labels.objects.boxes_xyxy, labels.ignored_xyxy, labels.looked_xyxy, labels.objects.scores)
    ]
    assert shapes == [(0, 4), (0, 4), (0, 4), (0,)]


@pytest.mark.parametrize("uncertain_score", [0.1, 0.3])
def test_made_uncertain_is_ignored_even_when_the_band_is_empty(uncertain_score: float) -> None:
    config = AnnotationConfig(uncertain_score=uncertain_score)
    annotation = scored(0.9, 0.2)
    changed = Annotation(as_uncertain(annotation.detections, config), annotation.looked_xyxy)
    labels = split_labels(changed, config)
    assert len(labels.objects) == 0
    assert labels.ignored_xyxy[:, 0].tolist() == ([0, 1] if uncertain_score == 0.1 else [0])
    assert highest_uncertain_score(config.min_score) < 0.3
