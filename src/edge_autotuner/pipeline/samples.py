"""Turns annotated frames into what a training is given."""

from __future__ import annotations

from collections.abc import Sequence

from edge_autotuner.annotation import split_labels
from edge_autotuner.config import AnnotationConfig, RunConfig
from edge_autotuner.core import Annotation
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.training import TrainingSample


def make_samples(
    config: RunConfig, store: DatasetStore, frames: Sequence[tuple[FrameRecord, Annotation]]
) -> list[TrainingSample]:
    """Return frames with their labels as the training wants them."""
    return [
        make_sample(store, record, annotation, config.annotation, score_weight=config.training.score_weight)
        for record, annotation in frames
    ]


def make_sample(
    store: DatasetStore,
    record: FrameRecord,
    annotation: Annotation,
    config: AnnotationConfig,
    *,
    score_weight: float = 0.0,
) -> TrainingSample:
    """Return a frame with its labels as the training wants it.

    Args:
        store: where the frame is.
        record: the frame.
        annotation: what the teacher said.
        config: which boxes are labels.
        score_weight: in [0, 1]; a label counts 1 - score_weight * (1 - the teacher's score).
    """
    labels = split_labels(annotation, config)
    return TrainingSample(
        read_image=lambda: store.read_image(record),
        size_wh=record.size_wh,
        boxes_xyxy=labels.objects.boxes_xyxy,
        class_ids=labels.objects.class_ids,
        ignored_xyxy=labels.ignored_xyxy,
        looked_xyxy=labels.looked_xyxy,
        weights=1 - score_weight * (1 - labels.objects.scores) if score_weight else None,
        time_s=record.time_s,
    )
