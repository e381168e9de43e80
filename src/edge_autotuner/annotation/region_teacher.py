"""A teacher made of any detector that looks at magnified views of the frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edge_autotuner.annotation.fusion import is_cut
from edge_autotuner.annotation.labels import as_uncertain
from edge_autotuner.annotation.views import View, looked_rectangles, plan_views
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Detections, Detector, LabelMap, Look, Scene, TeacherBase, covered_fraction
from edge_autotuner.core.tasks import task_of
from edge_autotuner.core.types import FloatArray, ImageArray
from edge_autotuner.errors import ConfigError, TeacherError

_VIEWS_AT_ONCE = 16  # copies of views in memory; as many as frames are usually cut into
_EXPLAINED_FRACTION = 0.5  # a cut box that lies this much inside a kept box of its class shows that same object


class RegionTeacher(TeacherBase):
    """Runs a detector on views of a frame and merges what it finds; a core `Teacher`.

    The views show small objects larger than the full frame does, which is why even the student's own weights can teach
    it.

    Raises:
        ConfigError: the detector lacks a class of `labels`.
    """

    def __init__(self, detector: Detector, config: AnnotationConfig, *, labels: LabelMap, name: str) -> None:
        missing = [label for label in labels if label not in detector.labels]
        if missing:
            raise ConfigError(
                f"teacher {name} does not support the classes {', '.join(missing)}: the dataset has "
                f"{', '.join(labels)}, the teacher {', '.join(detector.labels)}; choose another teacher or set "
                "annotation.classes"
            )
        self._detector = detector
        self._config = config
        self.name, self.labels, self.input_size_wh = name, labels, detector.input_size_wh

    @property
    def grid_wh(self) -> tuple[int, int]:
        """Columns and rows of its tiles."""
        return self._config.grid_wh

    def looking(self, look: Look) -> RegionTeacher:
        """Return the same teacher with another way to look."""
        config = self._config.model_copy(update={"look": look})
        return RegionTeacher(self._detector, config, labels=self.labels, name=self.name)

    def in_finer_tiles(self) -> RegionTeacher:
        """Return the same teacher with one more tile per side."""
        columns, rows = self._config.grid_wh
        return self.in_grid((columns + 1, rows + 1))

    def in_grid(self, grid_wh: tuple[int, int]) -> RegionTeacher:
        """Return the same teacher with columns x rows of tiles."""
        config = self._config.model_copy(update={"tile_grid": grid_wh})
        return RegionTeacher(self._detector, config, labels=self.labels, name=self.name)

    def annotate(
        self, image_bgr: ImageArray, regions_xyxy: FloatArray | None, *, scene: Scene | None = None
    ) -> Annotation:
        """Return the labels of a (H, W, 3) frame, by falling score, down to `uncertain_score`.

        `look: crops` makes crops of the (R, 4) regions, frame pixels. None: look at the whole frame; R = 0: at nothing.
        The scene is not used.

        Raises:
            TeacherError: the detector returned numbers that are not finite.
        """
        size_wh = image_bgr.shape[1], image_bgr.shape[0]
        views = plan_views(size_wh, regions_xyxy, self._config, detector_input_wh=self.input_size_wh)
        whole: list[Detections] = []
        cut: list[Detections] = []
        for view, found in zip(views, self._look(image_bgr, views), strict=True):
            at_border = is_cut(found, view, self._config.cut_border_px)
            whole.append(found.select(~at_border))
            cut.append(found.select(at_border))
        merged = self._merge(whole)
        if self._config.look == "crops" and regions_xyxy is not None:
            merged = self._add_unexplained(merged, self._merge(cut))
        n_pixels = sum(view.n_pixels for view in views)
        return Annotation(merged, looked_rectangles(views), n_calls=len(views), n_pixels=n_pixels)

    def _look(self, image_bgr: ImageArray, views: Sequence[View]) -> Iterator[Detections]:
        """Yield what each view shows, in frame pixels and classes of the dataset."""
        for start in range(0, len(views), _VIEWS_AT_ONCE):
            group = views[start : start + _VIEWS_AT_ONCE]
            found = self._detector.detect_batch([_cut_out(image_bgr, view) for view in group])
            yield from (self._placed(one, view) for one, view in zip(found, group, strict=True))

    def _placed(self, found: Detections, view: View) -> Detections:
        x1, y1, x2, y2 = view.rect_xyxy
        if not found.is_finite:
            raise TeacherError(f"teacher {self.name} returned a box that is not finite; its model file may be damaged")
        found = found.above(self._config.uncertain_score).clipped((x2 - x1, y2 - y1))
        return found.relabelled(self._detector.labels, self.labels).shifted(x1, y1)

    def _merge(self, parts: list[Detections]) -> Detections:
        return task_of(self.labels).merge(
            parts,
            merge_iou=self._config.merge_iou,
            max_detections=self._config.max_detections,
            same_object_iou=self._config.same_object_iou,
        )

    def _add_unexplained(self, merged: Detections, cut: Detections) -> Detections:
        """Add objects that every crop cuts as uncertain boxes: they are not background.

        The full frame of `tiles` sees such objects whole; crops may all cut them, and without this their
        place would be taught as empty.
        """
        same_class = cut.class_ids[:, None] == merged.class_ids[None, :]
        inside = covered_fraction(cut.boxes_xyxy, merged.boxes_xyxy) * same_class  # (C, M)
        unexplained = cut.select(inside.max(axis=1, initial=0.0) < _EXPLAINED_FRACTION)
        joined = Detections.concatenate([merged, as_uncertain(unexplained, self._config)])
        return joined.sorted_by_score(self._config.max_detections)


def _cut_out(image_bgr: ImageArray, view: View) -> ImageArray:
    x1, y1, x2, y2 = view.rect_xyxy
    return np.ascontiguousarray(image_bgr[y1:y2, x1:x2])
