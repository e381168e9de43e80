"""A teacher for the frames that decide about a promotion: it looks in several ways, and fuses what it sees.

Few frames decide, so each can be looked at more often than a training frame: turned left to right, in finer tiles, and
by models that neither candidate shares. A box that only one of the looks shows loses score, and becomes uncertain.

Source of the fusion: Solovyev et al., Image and Vision Computing 107, 2021, arXiv 1910.13302, which joins models; that
it also joins the looks of one model is test-time augmentation as usual for detectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_autotuner.annotation.ensemble import EnsembleTeacher
from edge_autotuner.annotation.region_teacher import RegionTeacher
from edge_autotuner.config import AnnotationConfig, JudgingConfig
from edge_autotuner.core import Annotation, LabelMap, Look, Scene, Teacher, TeacherBase
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.types import FloatArray, ImageArray


class MirroredTeacher(TeacherBase):
    """A teacher that is shown every picture turned left to right; a core `Teacher`."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher
        self.name, self.labels, self.input_size_wh = teacher.name, teacher.labels, teacher.input_size_wh
        self.may_see_whole_frames = teacher.may_see_whole_frames
        self.may_see_backgrounds = teacher.may_see_backgrounds

    def looking(self, look: Look) -> MirroredTeacher:
        """Return the same teacher with another way to look."""
        return MirroredTeacher(self._teacher.looking(look))

    def annotate(
        self, image_bgr: ImageArray, regions_xyxy: FloatArray | None, *, scene: Scene | None = None
    ) -> Annotation:
        """Look at a mirrored (H, W, 3) frame; boxes are those of the frame as it is. The scene is not used."""
        width = image_bgr.shape[1]
        regions = None if regions_xyxy is None else mirror_boxes(regions_xyxy, width)
        said = self._teacher.annotate(np.ascontiguousarray(image_bgr[:, ::-1]), regions)
        looked = mirror_boxes(said.looked_xyxy, width)
        return Annotation(said.detections.mirrored(width), looked, said.n_calls, said.n_pixels)


def mirror_boxes(boxes_xyxy: FloatArray, width: float) -> FloatArray:
    """Return (N, 4) boxes as in the picture of `width` pixels turned left to right."""
    x1, y1, x2, y2 = as_boxes(boxes_xyxy).T
    return np.stack([width - x2, y1, width - x1, y2], axis=1)


def judging_teacher(
    teachers: Sequence[RegionTeacher], config: AnnotationConfig, *, labels: LabelMap
) -> EnsembleTeacher | RegionTeacher:
    """Return a teacher that asks each of the teachers in all ways that `config.test_labels` names.

    The looks of one teacher count together as much as those of another.
    """
    members = [_in_several_looks(teacher, config) for teacher in teachers]
    return members[0] if len(members) == 1 else EnsembleTeacher(members, config, labels=labels)


def _in_several_looks(teacher: RegionTeacher, config: AnnotationConfig) -> EnsembleTeacher | RegionTeacher:
    looks = _looks(teacher, config.test_labels)
    if len(looks) == 1:
        return teacher
    alike = config.model_copy(update={"teacher_weights": None})
    return EnsembleTeacher(looks, alike, labels=teacher.labels, name=teacher.name)


def _looks(teacher: RegionTeacher, wanted: JudgingConfig) -> list[Teacher]:
    looks: list[Teacher] = [teacher]
    if wanted.mirrored:
        looks.append(MirroredTeacher(teacher))
    if wanted.finer_tiles:
        looks.append(teacher.in_finer_tiles())
    return looks
