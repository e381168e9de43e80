"""Improves the labels with the tuned student: fuses the teacher's boxes with what the student sees.

A teacher knows the world, a tuned student knows the camera. Looking at magnified views, the student finds what the
teacher overlooks and disagrees with its flukes, and what both say is better than either. The teacher decides
the class of an object, with one exception: where the student is more certain of another class, and the teacher itself
says that class at least as often in that place, the object gets it. The labels of the test frames, which judge the
student, remain the teacher's alone.

Sources: self-training as in Xie et al., "Noisy Student", arXiv 1911.04252; the fusion is Solovyev et al.'s, arXiv
1910.13302. Asking the student on magnified views of its own camera is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

import numpy as np

from edge_autotuner.annotation.ahead import look_ahead
from edge_autotuner.annotation.refine import annotated_by_time, find_places, refine_frames
from edge_autotuner.annotation.spurious import without_classes
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Deadline, Detections, Progress, Teacher, covered_fraction, iou_matrix
from edge_autotuner.core.sampling import spread_order
from edge_autotuner.core.tasks import task_of
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray, IntArray
from edge_autotuner.dataset import DatasetStore, LabelledFrame

_SAME_PLACE_IOU = 0.3  # boxes of two frames that overlap more stand in one place
_LOOKED_FRACTION = 0.5  # of a box that the student found must lie where the teacher has looked


def look_again(
    store: DatasetStore,
    student: Teacher,
    config: AnnotationConfig,
    *,
    teacher: str,
    raw_fingerprint: str,
    fingerprint: str,
    deadline: Deadline,
    progress: Progress,
    n_parallel: int = 1,
    dropped: Sequence[str] = (),
) -> list[LabelledFrame]:
    """Let a tuned student look at the training frames, in tiles, and return labels that both have made, refined.

    What student and teacher say together is stored frame by frame, and not asked again; the dataset's labels remain the
    teacher's.

    Args:
        store: the dataset, annotated.
        student: the tuned student.
        config: of the annotation: which boxes are one, which count, and the rules of refinement.
        teacher: name of the teacher.
        raw_fingerprint: of the teacher's own answers, before refinement.
        fingerprint: under which the fused answers are stored; it must change when the student does.
        deadline: no frame is begun after it.
        progress: told of every frame.
        n_parallel: frames to process in parallel.
        dropped: classes that the refinement of the teacher's labels has dropped.

    Returns:
        The training frames that the student has looked at, by time; all of them, unless the deadline passed.
    """
    asked = store.labelled("train", raw_fingerprint)
    ordered = [asked[i] for i in spread_order(len(asked))]
    left = [(r, a) for r, a in ordered if store.annotation_of(r, fingerprint) is None]
    whole_frames, usual = student.looking("tiles"), UsualClasses([a.detections for _, a in asked], config.min_score)

    def look(asked_again: LabelledFrame) -> Annotation:
        record, annotation = asked_again
        return fuse_with_student(annotation, whole_frames, store.read_image(record), config, usual)

    in_time = takewhile(lambda _: not deadline.has_passed, left)
    progress.start("second look", len(left))
    try:
        for (record, _), both in look_ahead(in_time, look, n_threads=n_parallel):
            store.add_annotation(record, both, teacher=f"{teacher} + {student.name}", fingerprint=fingerprint)
            progress.advance()
    finally:
        progress.finish()
    frames = annotated_by_time(store, "train", fingerprint)
    if not config.refine.is_on:
        return frames
    refined = refine_frames(frames, find_places(frames, config), config).detections
    found = [without_classes(boxes, dropped, store.labels, config, is_test=False) for boxes in refined]
    return [(record, replace(a, detections=boxes)) for (record, a), boxes in zip(frames, found, strict=True)]


class UsualClasses:
    """What a teacher usually calls the objects in each place of the picture; boxes below `min_score` do not count."""

    def __init__(self, found: Sequence[Detections], min_score: float) -> None:
        self._labels = Detections.concatenate([one.above(min_score) for one in found])

    def allows(self, boxes_xyxy: FloatArray, old_ids: IntArray, new_ids: IntArray) -> BoolArray:
        """Return (N,) whether the teacher says the new class at each (N, 4) box at least as often as the old one."""
        is_there = iou_matrix(boxes_xyxy, self._labels.boxes_xyxy) > _SAME_PLACE_IOU  # (N, T)
        counts = [(is_there & (self._labels.class_ids == ids[:, None])).sum(axis=1) for ids in (old_ids, new_ids)]
        return np.asarray(counts[1] >= counts[0], np.bool_)


def fuse_with_student(
    annotation: Annotation, student: Teacher, image_bgr: ImageArray, config: AnnotationConfig, usual: UsualClasses
) -> Annotation:
    """Combine the teacher's and the student's answers about a (H, W, 3) frame.

    Both count the same, but for classes (see above). Where the teacher has not looked, the student alone decides
    nothing.
    """
    seen = student.annotate(image_bgr, None)
    inside = covered_fraction(seen.detections.boxes_xyxy, annotation.looked_xyxy).max(axis=1, initial=0.0)
    found = seen.detections.select(inside >= _LOOKED_FRACTION)
    fused = task_of(student.labels).fuse(
        list(_with_one_name(annotation.detections, found, config, usual)),
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


def _with_one_name(
    labels: Detections, found: Detections, config: AnnotationConfig, usual: UsualClasses
) -> tuple[Detections, Detections]:
    """Return the boxes of teacher and student; where both mean one object, both have the same class."""
    if len(labels) == 0 or len(found) == 0:
        return labels, found
    overlaps = iou_matrix(found.boxes_xyxy, labels.boxes_xyxy)  # (S, T)
    partner = overlaps.argmax(axis=1)
    theirs = labels.class_ids[partner]
    is_pair = (overlaps.max(axis=1) > config.fusion_iou) & (labels.scores[partner] >= config.min_score)
    differs = is_pair & (theirs != found.class_ids) & (found.scores > labels.scores[partner])
    renames = np.flatnonzero(differs)
    renames = renames[usual.allows(found.boxes_xyxy[renames], theirs[renames], found.class_ids[renames])]
    renames = renames[np.argsort(found.scores[renames], kind="stable")]  # of several, the surest comes last and counts
    label_ids = labels.class_ids.copy()
    label_ids[partner[renames]] = found.class_ids[renames]
    found_ids = np.where(is_pair, label_ids[partner], found.class_ids)
    return labels.with_classes(label_ids), found.with_classes(found_ids)
