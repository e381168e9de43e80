"""Better labels from the student itself, once it has learned: the teacher's boxes, fused with what the student sees.

A teacher knows the world, a tuned student knows the camera. Looking at magnified views, the student finds what the
teacher overlooks and disagrees with its flukes, and what both say is better than either. What an object is called
remains the teacher's business: where its classes waver, a student learns the more frequent one, and with a vote it
would soon rename every object. The labels that judge the student, those of the test frames, remain the teacher's alone.

Sources: self-training as in Xie et al., "Noisy Student", arXiv 1911.04252; the fusion is Solovyev et al.'s, arXiv
1910.13302. Asking the student on magnified views of its own camera is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edge_autotuner.annotation.annotate import spread_order
from edge_autotuner.annotation.refine import find_places, refine_frames
from edge_autotuner.annotation.region_teacher import RegionTeacher
from edge_autotuner.annotation.weighted_fusion import fuse_boxes
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Deadline, Detections, Progress, covered_fraction, iou_matrix
from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset import DatasetStore, FrameRecord

_LOOKED_FRACTION = 0.5  # of a box that the student found must lie where the teacher has looked

Labelled = tuple[FrameRecord, Annotation]


def look_again(
    store: DatasetStore,
    student: RegionTeacher,
    config: AnnotationConfig,
    *,
    teacher: str,
    raw_fingerprint: str,
    labels_fingerprint: str,
    fingerprint: str,
    deadline: Deadline,
    progress: Progress,
) -> list[Labelled]:
    """Let a tuned student look at the training frames, and return labels that both have made, refined.

    What the student says is stored frame by frame, and not asked again. The dataset's labels remain the teacher's.

    Args:
        store: the dataset, annotated.
        student: the tuned student; it looks at tiles of whole frames.
        config: of the annotation: which boxes are one, which count, and the rules of refinement.
        teacher: name of the teacher, which stays that of the dataset's labels.
        raw_fingerprint: of the teacher's own answers, before refinement.
        labels_fingerprint: of the dataset's labels.
        fingerprint: under which the fused answers are stored; it must change when the student does.
        deadline: no frame is begun after it.
        progress: hears of every frame.

    Returns:
        The training frames that the student has looked at, by time; all of them, unless the deadline passed.
    """
    asked = [(r, a) for r in store.frames("train") if (a := store.annotation_of(r, raw_fingerprint)) is not None]
    ordered = [asked[i] for i in spread_order(len(asked))]
    left = [(r, a) for r, a in ordered if store.annotation_of(r, fingerprint) is None]
    whole_frames = student.looking("tiles")
    progress.start("second look", len(left))
    try:
        for record, annotation in left:
            if deadline.has_passed:
                break
            both = fuse_with_student(annotation, whole_frames, store.read_image(record), config)
            store.add_annotation(record, both, teacher=f"{teacher} + {student.name}", fingerprint=fingerprint)
            progress.advance()
    finally:
        progress.finish()
        store.use_annotations(
            labels_fingerprint, teacher=teacher, min_score=config.min_score, uncertain_score=config.uncertain_score
        )
    return _refined(store, [record for record, _ in asked], fingerprint, config)


def fuse_with_student(
    annotation: Annotation, student: RegionTeacher, image_bgr: ImageArray, config: AnnotationConfig
) -> Annotation:
    """Return what teacher and student say together about a (H, W, 3) frame.

    Both count the same, but an object that the teacher has labelled keeps its class. Where the teacher has not looked,
    the student alone decides nothing.
    """
    seen = student.annotate(image_bgr, None)
    inside = covered_fraction(seen.detections.boxes_xyxy, annotation.looked_xyxy).max(axis=1, initial=0.0)
    found = seen.detections.select(inside >= _LOOKED_FRACTION)
    fused = fuse_boxes(
        [annotation.detections, _named_by(annotation.detections.above(config.min_score), found, config.fusion_iou)],
        weights=(1.0, 1.0),
        knows=np.ones((2, len(student.labels)), np.bool_),
        fusion_iou=config.fusion_iou,
        same_object_iou=config.same_object_iou,
    )
    return replace(
        annotation,
        detections=fused.above(config.uncertain_score).sorted_by_score(config.max_detections),
        n_calls=annotation.n_calls + seen.n_calls,
        n_pixels=annotation.n_pixels + seen.n_pixels,
    )


def _named_by(labels: Detections, found: Detections, iou: float) -> Detections:
    """Return what the student found; boxes that overlap a label by more than `iou` get its class."""
    if len(labels) == 0 or len(found) == 0:
        return found
    overlaps = iou_matrix(found.boxes_xyxy, labels.boxes_xyxy)  # (S, T)
    names = labels.class_ids[overlaps.argmax(axis=1)]
    return replace(found, class_ids=np.where(overlaps.max(axis=1) > iou, names, found.class_ids))


def _refined(
    store: DatasetStore, records: Sequence[FrameRecord], fingerprint: str, config: AnnotationConfig
) -> list[Labelled]:
    frames = [(r, a) for r in records if (a := store.annotation_of(r, fingerprint)) is not None]
    frames.sort(key=lambda pair: (pair[0].time_s, pair[0].index))
    if not config.refine.is_on:
        return frames
    found = refine_frames(frames, find_places(frames, config), config).detections
    return [(record, replace(a, detections=boxes)) for (record, a), boxes in zip(frames, found, strict=True)]
