"""Asks, without human labels, whether a teacher is worse on this camera than the model that it teaches.

Both look at some training frames, as they are and turned left to right. What the four looks say together is fused, and
each side is scored against it: a side that contradicts itself and the other one agrees less with what remains.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Detections, Detector, LabelMap, Teacher
from edge_autotuner.core.json_fields import Fields
from edge_autotuner.core.sampling import evenly_spread
from edge_autotuner.core.tasks import task_of
from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.evaluation import merge_classes, score_detections, truth_from_annotation

logger = logging.getLogger(__name__)

_MARGIN = 0.05  # of AP50:95: smaller differences say little
_ALIKE = {"bus": "car", "truck": "car", "motorcycle": "bicycle"}
"""Classes that models confuse: which of them it is does not count here."""


@dataclass(frozen=True)
class TeacherCheck:
    """How well teacher and start model agree with what both say together.

    Attributes:
        n_frames: training frames that were looked at.
        n_calls: calls of the teacher's detector for this.
        teacher_ap: AP50:95 of the teacher, in [0, 1], classes weighted by their objects.
        start_ap: of the start model.
    """

    n_frames: int
    n_calls: int
    teacher_ap: float
    start_ap: float

    @property
    def may_be_worse(self) -> bool:
        """Whether the teacher may be worse here than the model that it teaches."""
        return self.teacher_ap < self.start_ap - _MARGIN

    @property
    def warning(self) -> str:
        """What to tell the user; empty if there is nothing to say."""
        if not self.may_be_worse:
            return ""
        return (
            f"The teacher may be worse on this camera than the model that it teaches: on {self.n_frames} frames it "
            f"agrees less with what both say together (AP50:95 {self.teacher_ap:.2f}, the start model "
            f"{self.start_ap:.2f}). "
            "Look at its labels, or choose another teacher."
        )

    def to_json(self) -> dict[str, float]:
        """Return JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, read: Fields) -> TeacherCheck:
        """Read what `to_json` returned; raise `FieldError` for anything else."""
        counts = {name: read.whole(name, at_least=0) for name in ("n_frames", "n_calls")}
        return cls(**counts, teacher_ap=read.number("teacher_ap"), start_ap=read.number("start_ap"))


def check_against_start(
    store: DatasetStore, fingerprint: str, mirrored: Teacher, start: Detector, config: AnnotationConfig
) -> TeacherCheck | None:
    """Compare teacher and start model on `config.check_teacher_frames` training frames, evenly spread.

    Args:
        store: the dataset, with the teacher's own answers.
        fingerprint: of these.
        mirrored: the teacher, shown pictures turned left to right.
        start: the start model as it runs beside the camera.
        config: which boxes count, and how they are fused.

    Returns:
        None where nothing was found that both could be compared with.
    """
    labelled = store.labelled("train", fingerprint)
    chosen = [labelled[i] for i in evenly_spread(len(labelled), config.check_teacher_frames)]
    images = [store.read_image(record) for record, _ in chosen]
    turned = [mirrored.annotate(image, None) for image in images]
    looks = (
        [annotation.detections for _, annotation in chosen],
        [one.detections for one in turned],
        [_found(start, image, store.labels) for image in images],
        [_found_mirrored(start, image, store.labels) for image in images],
    )
    n_calls = sum(one.n_calls for one in turned)
    return compare_looks(*looks, labels=store.labels, config=config, n_calls=n_calls)


def compare_looks(
    teacher: Sequence[Detections],
    teacher_mirrored: Sequence[Detections],
    start: Sequence[Detections],
    start_mirrored: Sequence[Detections],
    *,
    labels: LabelMap,
    config: AnnotationConfig,
    n_calls: int = 0,
) -> TeacherCheck | None:
    """Compare the answers of both sides, each as it is and mirrored back; one item per frame in every list."""
    together = [
        _fused(looks, labels, config) for looks in zip(teacher, teacher_mirrored, start, start_mirrored, strict=True)
    ]
    scores = [_agreement(found, together, labels, config) for found in (teacher, start)]
    if any(score is None for score in scores):
        return None
    return TeacherCheck(len(together), n_calls, *(round(float(score or 0.0), 4) for score in scores))


def _fused(looks: Sequence[Detections], labels: LabelMap, config: AnnotationConfig) -> Detections:
    return task_of(labels).fuse(
        list(looks),
        weights=(1.0,) * len(looks),
        knows=np.ones((len(looks), len(labels)), np.bool_),
        fusion_iou=config.fusion_iou,
        same_object_iou=config.same_object_iou,
    )


def _agreement(
    found: Sequence[Detections], together: Sequence[Detections], labels: LabelMap, config: AnnotationConfig
) -> float | None:
    merge = merge_classes(labels, {name: kind for name, kind in _ALIKE.items() if {name, kind} <= set(labels)})
    nowhere = np.zeros((0, 4), np.float32)
    truths = [truth_from_annotation(Annotation(one, nowhere), min_score=config.min_score) for one in together]
    scores = score_detections(
        [merge.detections(one) for one in found],
        [merge.truth(one) for one in truths],
        merge.labels,
        max_detections=config.max_detections,
        min_score=config.uncertain_score,
    )
    n_objects = sum(one.n_truths for one in scores.per_class.values())
    return sum(one.ap * one.n_truths for one in scores.per_class.values()) / n_objects if n_objects else None


def _found(detector: Detector, image_bgr: ImageArray, labels: LabelMap) -> Detections:
    return detector.detect(image_bgr).relabelled(detector.labels, labels)


def _found_mirrored(detector: Detector, image_bgr: ImageArray, labels: LabelMap) -> Detections:
    turned = np.ascontiguousarray(image_bgr[:, ::-1])
    return _found(detector, turned, labels).mirrored(image_bgr.shape[1])
