"""Labels that are given instead of asked of a teacher, such as human boxes or the exact truth of a simulation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from edge_autotuner.annotation import AnnotationSummary
from edge_autotuner.core import Annotation, Detections
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.core.types import FloatArray, IntArray
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.pipeline.run_folder import RunFolder, StageRecord
from edge_autotuner.pipeline.stage_results import AnnotationResult


def store_labels(folder: RunFolder, annotate: Callable[[FrameRecord], Annotation], *, teacher: str) -> None:
    """Finish the annotation of a run with the labels of a function; one that is finished stays as it is."""
    if folder.stage("annotation") is not None:
        return
    fingerprint = fingerprint_of(teacher)
    with DatasetStore.open(folder.dataset) as store:
        store.use_annotations(fingerprint, teacher=teacher)
        for record in store.frames():
            store.add_annotation(record, annotate(record), teacher=teacher, fingerprint=fingerprint)
        n_frames = {split: len(store.frames(split)) for split in ("train", "test")}
    said = AnnotationSummary(
        teacher=teacher,
        fingerprint=fingerprint,
        n_frames=n_frames,
        n_left={},
        n_calls=0,
        n_pixels=0,
        boxes_per_class={},
        n_uncertain=0,
        n_negatives=0,
        score_histogram=(),
        seconds=0.0,
    )
    folder.finish("annotation", stage_record(fingerprint, AnnotationResult(said, None).to_json()))


def sure_annotation(boxes_xyxy: FloatArray, class_ids: IntArray, record: FrameRecord) -> Annotation:
    """Return boxes with scores of 1, said of the whole picture."""
    scores = np.ones(len(boxes_xyxy), np.float32)
    return Annotation(Detections(boxes_xyxy, scores, class_ids), np.array([[0, 0, *record.size_wh]], np.float32))


def stage_record(fingerprint: str, summary: dict[str, Any]) -> StageRecord:
    """Return the record of a stage that was done by hand, now."""
    return StageRecord(fingerprint, 0.0, datetime.now(UTC).isoformat(), summary)
