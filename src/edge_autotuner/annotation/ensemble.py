"""Several teachers that are asked together and whose boxes are fused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, LabelMap, Look, Scene, Teacher, TeacherBase
from edge_autotuner.core.tasks import task_of
from edge_autotuner.core.types import FloatArray, ImageArray
from edge_autotuner.errors import ConfigError


class EnsembleTeacher(TeacherBase):
    """Asks every member and fuses what they say; a core `Teacher`.

    Each member knows some of the classes; together they know all.

    Raises:
        ConfigError: no member knows a class, or there is not one weight for each member.
    """

    def __init__(
        self, members: Sequence[Teacher], config: AnnotationConfig, *, labels: LabelMap, name: str | None = None
    ) -> None:
        missing = [label for label in labels if not any(label in member.labels for member in members)]
        if missing:
            names = ", ".join(member.name for member in members)
            raise ConfigError(
                f"none of the teachers {names} supports the classes {', '.join(missing)}; add a teacher that does, or "
                "set annotation.classes"
            )
        weights = config.teacher_weights or (1.0,) * len(members)
        if len(weights) != len(members):
            raise ConfigError(f"annotation.teacher_weights has {len(weights)} numbers for {len(members)} teachers")
        self._members = tuple(members)
        self._config = config
        self.name = name or " + ".join(member.name for member in members)
        self.labels = labels
        self.input_size_wh = max(
            (member.input_size_wh for member in members), key=lambda size_wh: size_wh[0] * size_wh[1]
        )
        self._weights = weights
        self.may_see_whole_frames = all(member.may_see_whole_frames for member in members)
        self.may_see_backgrounds = all(member.may_see_backgrounds for member in members)
        self._knows = np.array([[label in member.labels for label in labels] for member in members], np.bool_)

    def looking(self, look: Look) -> EnsembleTeacher:
        """Return the same teachers with another way to look."""
        members = [member.looking(look) for member in self._members]
        return EnsembleTeacher(members, self._config, labels=self.labels, name=self.name)

    def annotate(
        self, image_bgr: ImageArray, regions_xyxy: FloatArray | None, *, scene: Scene | None = None
    ) -> Annotation:
        """Look at a (H, W, 3) frame with every member; as `RegionTeacher.annotate`.

        `looked_xyxy` is what the first member has seen: all have looked at the same views, apart from magnifying tiles
        inside them. Calls and pixels of all members add up.
        """
        answers = [member.annotate(image_bgr, regions_xyxy, scene=scene) for member in self._members]
        fused = task_of(self.labels).fuse(
            [
                answer.detections.relabelled(member.labels, self.labels)
                for member, answer in zip(self._members, answers, strict=True)
            ],
            weights=self._weights,
            knows=self._knows,
            fusion_iou=self._config.fusion_iou,
            same_object_iou=self._config.same_object_iou,
        )
        return Annotation(
            fused.above(self._config.uncertain_score).sorted_by_score(self._config.max_detections),
            answers[0].looked_xyxy,
            n_calls=sum(answer.n_calls for answer in answers),
            n_pixels=sum(answer.n_pixels for answer in answers),
        )
