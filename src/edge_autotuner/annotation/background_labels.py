"""Labels what stands still, so that motion crops do not teach that a parked car is background.

Outside the motion regions a frame looks like its background. So the teacher looks once at the background
picture, whole and in tiles, and what it finds there holds for every frame compared with that background.
"""

from __future__ import annotations

import cv2
import numpy as np

from edge_autotuner.annotation.labels import as_uncertain
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Detections, Teacher, covered_fraction, iou_matrix, subtract_boxes
from edge_autotuner.core.types import FloatArray, ImageArray, SizeWH
from edge_autotuner.dataset import DatasetStore, FrameRecord

_HIDDEN_FRACTION = 0.3  # a still object covered more than this by one motion region may be hidden or gone
_CELL_PX, _CELL_CHANGE = 8, 12.0  # backgrounds are the same while no cell's mean brightness changes by more


class BackgroundLabels:
    """Completes the annotations of motion crops with what the background shows.

    Each background is looked at once; one that hardly differs from the last one takes over its labels. The teacher must
    look at the whole picture when asked without regions.
    """

    def __init__(self, store: DatasetStore, teacher: Teacher, config: AnnotationConfig) -> None:
        self._store = store
        self._teacher = teacher
        self._config = config
        self._by_name: dict[str, Annotation] = {}
        self._last: tuple[ImageArray, SizeWH, Annotation] | None = None

    def complete(self, annotation: Annotation, record: FrameRecord) -> Annotation:
        """Return the annotation of a frame's motion crops with the labels of its background.

        Still objects that a motion region covers by more than 0.3 are unknown. `looked_xyxy` consists of rectangles and
        cannot say so; they stay as boxes with a score just below `min_score`, which training ignores. Everything else
        counts as seen, except the motion regions that were not sent, because what moves there is in the labels of an
        earlier frame only. Without a background the annotation stays as it is. The look at a background counts for the
        first frame that needs it.
        """
        if record.background is None:
            return annotation
        is_new = record.background not in self._by_name
        if is_new:
            self._by_name[record.background] = self._look_at(record.background, record.size_wh)
        still = self._by_name[record.background]
        width, height = record.size_wh
        n_calls, n_pixels = (still.n_calls, still.n_pixels) if is_new else (0, 0)
        return Annotation(
            join_still_objects(annotation.detections, still.detections, record.regions, self._config),
            subtract_boxes(np.array([0, 0, width, height], np.float32), record.unsent),
            annotation.n_calls + n_calls,
            annotation.n_pixels + n_pixels,
        )

    def _look_at(self, name: str, size_wh: SizeWH) -> Annotation:
        luma = self._store.read_background(name)
        if self._last is not None and self._last[1] == size_wh and shows_same_scene(luma, self._last[0]):
            return Annotation(self._last[2].detections, self._last[2].looked_xyxy)
        picture = cv2.resize(luma, size_wh, interpolation=cv2.INTER_LINEAR)  # it may be of the working size
        annotation = self._teacher.annotate(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), None)
        self._last = luma, size_wh, annotation
        return annotation


def join_still_objects(
    moving: Detections, still: Detections, regions_xyxy: FloatArray, config: AnnotationConfig
) -> Detections:
    """Return a frame's own boxes and those of its background, by falling score.

    A still box is dropped where a moving one shows the same object, and made uncertain where one of the (R, 4) motion
    regions hides it.
    """
    same_class = still.class_ids[:, None] == moving.class_ids[None, :]
    other_limit = np.inf if config.same_object_iou is None else config.same_object_iou
    limits = np.where(same_class, config.merge_iou, other_limit)
    seen_twice = iou_matrix(still.boxes_xyxy, moving.boxes_xyxy) > limits  # (S, M)
    still = still.select(np.asarray(~seen_twice.any(axis=1), np.bool_))
    hidden = covered_fraction(still.boxes_xyxy, regions_xyxy).max(axis=1, initial=0.0) > _HIDDEN_FRACTION
    parts = [moving, still.select(~hidden), as_uncertain(still.select(hidden), config)]
    return Detections.concatenate(parts).sorted_by_score(config.max_detections)


def shows_same_scene(a: ImageArray, b: ImageArray) -> bool:
    """Whether two (H, W) backgrounds differ only by noise, not by an object that came or left."""
    if a.shape != b.shape:
        return False
    cells_wh = max(1, a.shape[1] // _CELL_PX), max(1, a.shape[0] // _CELL_PX)
    small_a, small_b = (cv2.resize(image, cells_wh, interpolation=cv2.INTER_AREA) for image in (a, b))
    return float(cv2.absdiff(small_a, small_b).max()) <= _CELL_CHANGE
