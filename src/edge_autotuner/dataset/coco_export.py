"""The files that other tools read: COCO JSON and the manifest. Both are derived from the journal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from edge_autotuner.core import Annotation, LabelMap
from edge_autotuner.core.boxes import box_areas, xyxy_to_xywh
from edge_autotuner.dataset.records import SPLIT_NAMES, FrameRecord, event_to_json, source_to_json
from edge_autotuner.dataset.state import FORMAT_VERSION, AnnotationRun, DatasetState, Header

COCO_NAME = "annotations.coco.json"
MANIFEST_NAME = "manifest.json"


def build_coco(state: DatasetState, labels: LabelMap) -> dict[str, Any]:
    """Return the dataset as a COCO dictionary under the newest fingerprint.

    Image ids count frames from 1 in the order in which they were added, category ids classes from 1. Each annotation
    has a `score`, and `uncertain` is true below the label threshold; readers that do not know it
    should drop those first. An image that no teacher has seen yet has `annotated` false.
    """
    run = state.runs.get(state.fingerprint or "")
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, frame in enumerate(state.frames.values(), start=1):
        annotation = state.annotation_of(frame.key, None)
        images.append(_image(image_id, frame, annotation))
        if annotation is not None:
            annotations += _annotations(image_id, len(annotations) + 1, annotation, run)
    return {
        "info": {"description": "labels of a teacher model, not of a human", "version": str(FORMAT_VERSION)},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(labels, start=1)],
    }


def build_manifest(state: DatasetState, header: Header, *, updated_at: datetime) -> dict[str, Any]:
    """Return what the dataset is, where it comes from, and the hash of every picture."""
    frames = list(state.frames.values())
    run = state.runs.get(state.fingerprint or "")
    return {
        "format_version": FORMAT_VERSION,
        "created_at": header.created_at,
        "updated_at": updated_at.isoformat(),
        "source": source_to_json(header.source),
        "settings": dict(header.settings),
        "labels": list(header.labels.names),
        "n_frames": {split: sum(frame.split == split for frame in frames) for split in SPLIT_NAMES},
        "annotation": run
        and {
            "teacher": run.teacher,
            "fingerprint": run.fingerprint,
            "min_score": run.min_score,
            "uncertain_score": run.uncertain_score,
            "n_frames": len(state.annotations.get(run.fingerprint, {})),
        },
        "notes": dict(state.notes),
        "events": [event_to_json(event) for event in state.events],
        "pictures": [
            {"file": frame.file, "sha256": frame.sha256, "split": frame.split, "frame_index": frame.index}
            for frame in frames
        ],
        "backgrounds": [{"file": name, "pixels_sha256": digest} for name, digest in state.background_hashes.items()],
    }


def _image(image_id: int, frame: FrameRecord, annotation: Annotation | None) -> dict[str, Any]:
    return {
        "id": image_id,
        "file_name": frame.file,
        "width": frame.size_wh[0],
        "height": frame.size_wh[1],
        "frame_index": frame.index,
        "split": frame.split,
        "time_s": frame.time_s,
        "date_captured": frame.captured_at,
        "source_file_name": frame.file_name,
        "annotated": annotation is not None,
        "looked_xyxy": [] if annotation is None else annotation.looked_xyxy.tolist(),
    }


def _annotations(
    image_id: int, first_id: int, annotation: Annotation, run: AnnotationRun | None
) -> list[dict[str, Any]]:
    found = annotation.detections
    min_score = run.min_score if run and run.min_score is not None else 0.0
    columns = zip(
        xyxy_to_xywh(found.boxes_xyxy).tolist(),
        box_areas(found.boxes_xyxy).tolist(),
        found.scores.tolist(),
        (found.scores < min_score).tolist(),
        found.class_ids.tolist(),
        strict=True,
    )
    return [
        {
            "id": first_id + number,
            "image_id": image_id,
            "category_id": class_id + 1,
            "bbox": [round(value, 2) for value in box],
            "area": round(area, 2),
            "iscrowd": 0,
            "score": round(score, 5),
            "uncertain": uncertain,
        }
        for number, (box, area, score, uncertain, class_id) in enumerate(columns)
    ]
