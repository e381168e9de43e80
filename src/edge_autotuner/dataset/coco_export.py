"""The files that other tools read: COCO JSON and the manifest. Both are derived from the journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

import numpy as np

from edge_autotuner.core import Annotation, LabelMap
from edge_autotuner.core.annotations import score_bands
from edge_autotuner.core.box_codec import short_float
from edge_autotuner.core.tasks import task_of
from edge_autotuner.core.types import BoolArray
from edge_autotuner.dataset.records import SPLIT_NAMES, FrameRecord, event_to_json, source_to_json
from edge_autotuner.dataset.state import FORMAT_VERSION, AnnotationRun, DatasetState, Header

COCO_NAME = "annotations.coco.json"
MANIFEST_NAME = "manifest.json"
TRAINING_COCO_NAME = "training.coco.json"
TEACHER_LABELS = "labels of a teacher model, not of a human"

CocoFrame = tuple[FrameRecord, Annotation | None, str]
"""A frame, its labels, None when there are none yet, and its split as the file calls it."""


def build_coco(frames: Iterable[CocoFrame], labels: LabelMap, run: AnnotationRun | None) -> dict[str, Any]:
    """Return frames and their labels as a COCO dictionary: what counts as an object, and what is uncertain.

    Image IDs count frames from 1 in the order given, category IDs classes from 1. `run` has the thresholds; without it
    every box is an object. A box from `min_score` on is an object. One from `uncertain_score` on is neither object nor
    background: it has `uncertain` true, and `iscrowd` and `ignore` 1, by which other tools leave it out. Boxes below
    both are left out, as in training. A mask is the box's outline, as pycocotools makes it of boxes. An image that no
    teacher has seen has `annotated` false.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (frame, annotation, split) in enumerate(frames, start=1):
        images.append(_image(image_id, frame, annotation, split))
        if annotation is not None:
            annotations += _annotations(image_id, len(annotations) + 1, annotation, labels, run)
    return {
        "info": {
            "description": f"{TEACHER_LABELS}; changes in this file have no effect",
            "version": str(FORMAT_VERSION),
            **(dict.fromkeys(field.name for field in fields(AnnotationRun)) if run is None else asdict(run)),
        },
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(labels, start=1)],
    }


def labels_in_use(state: DatasetState) -> list[CocoFrame]:
    """Return all frames, in the order in which they were added, with the labels in use."""
    return [(frame, state.annotation_of(frame.key, None), frame.split) for frame in state.frames.values()]


def build_manifest(state: DatasetState, header: Header, *, updated_at: datetime) -> dict[str, Any]:
    """Describe the dataset: its settings, its source, and the hash of every picture."""
    frames = list(state.frames.values())
    run = state.run_in_use
    return {
        "info": {"description": "made from journal.jsonl; changes in this file have no effect"},
        "format_version": FORMAT_VERSION,
        "created_at": header.created_at,
        "updated_at": updated_at.isoformat(),
        "source": source_to_json(header.source),
        "settings": dict(header.settings),
        **header.labels.to_json(),
        "n_frames": {split: sum(frame.split == split for frame in frames) for split in SPLIT_NAMES},
        "annotation": run and asdict(run) | {"n_frames": len(state.annotations.get(run.fingerprint, {}))},
        "notes": dict(state.notes),
        "events": [event_to_json(event) for event in state.events],
        "pictures": [
            {"file": frame.file, "sha256": frame.sha256, "split": frame.split, "frame_index": frame.index}
            for frame in frames
        ],
        "backgrounds": [{"file": name, "pixels_sha256": digest} for name, digest in state.background_hashes.items()],
    }


def _image(image_id: int, frame: FrameRecord, annotation: Annotation | None, split: str) -> dict[str, Any]:
    return {
        "id": image_id,
        "file_name": frame.file,
        "width": frame.size_wh[0],
        "height": frame.size_wh[1],
        "frame_index": frame.index,
        "split": split,
        "time_s": frame.time_s,
        "date_captured": frame.captured_at,
        "source_file_name": frame.file_name,
        "annotated": annotation is not None,
        "looked_xyxy": [] if annotation is None else annotation.looked_xyxy.tolist(),
    }


def _annotations(
    image_id: int, first_id: int, annotation: Annotation, labels: LabelMap, run: AnnotationRun | None
) -> list[dict[str, Any]]:
    found = annotation.detections
    is_object, is_uncertain = _by_score(annotation, run)
    found, is_uncertain = found.select(is_object | is_uncertain), is_uncertain[is_object | is_uncertain]
    columns = zip(
        task_of(labels).codec.to_coco_labels(found),
        found.scores,
        is_uncertain.tolist(),
        found.class_ids.tolist(),
        strict=True,
    )
    return [
        {
            "id": first_id + number,
            "image_id": image_id,
            "category_id": class_id + 1,
            **geometry,
            "iscrowd": int(uncertain),
            "ignore": int(uncertain),
            "score": short_float(score),
            "uncertain": uncertain,
        }
        for number, (geometry, score, uncertain, class_id) in enumerate(columns)
    ]


def _by_score(annotation: Annotation, run: AnnotationRun | None) -> tuple[BoolArray, BoolArray]:
    """Split boxes into objects and uncertain ones, as `annotation.split_labels` does for training."""
    scores = annotation.detections.scores
    if run is None or run.min_score is None:
        return np.ones(len(scores), np.bool_), np.zeros(len(scores), np.bool_)
    return score_bands(scores, min_score=run.min_score, uncertain_score=run.uncertain_score or 0.0)
