"""What may be seen of a frame: the one place that decides it, for teachers, for other machines and for the disk."""

from __future__ import annotations

import cv2
import numpy as np

from edge_autotuner.annotation.hiding import hide_boxes_inplace_, hide_outside, whole_pixels, widened
from edge_autotuner.annotation.views import grid_of_tiles, shown_rectangles
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.config.run import PrivacyConfig
from edge_autotuner.core import Annotation, Detector, Look, Scene, Teacher, subtract_boxes
from edge_autotuner.core.boxes import as_boxes, covered_together
from edge_autotuner.core.types import FloatArray, ImageArray
from edge_autotuner.dataset.treatment import TreatedPicture

_LOOK_GRID = 2, 2  # besides the whole picture, so that small objects are found, too
_LOOK_OVERLAP = 0.25
_HIDDEN_FRACTION = 0.3  # a box that is hidden by more than this is not labelled: nobody has seen the object


class PrivacyFilter:
    """Hides what must not be seen; a `PictureTreatment`.

    Args:
        config: what that is.
        annotation: the margins of crops.
        finder: finds objects of `config.hide_classes`; needed if there are any.

    Raises:
        ValueError: it is missing, or does not know one of these classes.
    """

    def __init__(self, config: PrivacyConfig, annotation: AnnotationConfig, finder: Detector | None) -> None:
        if config.hide_classes and finder is None:
            raise ValueError("privacy.hide_classes needs a detector that supports them")
        self.config = config
        self._annotation = annotation
        self._finder = finder
        self._hidden_ids = finder.labels.ids_of(config.hide_classes) if finder and config.hide_classes else ()

    def treat(
        self, image_bgr: ImageArray, regions_xyxy: FloatArray | None, background: ImageArray | None
    ) -> TreatedPicture:
        """Return what may be seen of a (H, W, 3) picture, with `outside` and `hide_classes` carried out."""
        height, width = image_bgr.shape[:2]
        objects = [self._find(image_bgr)]
        outside = as_boxes([])
        if self.config.outside == "keep":
            seen = image_bgr.copy()
        else:
            shown = shown_rectangles(
                as_boxes([] if regions_xyxy is None else regions_xyxy), (width, height), self._annotation
            )
            replacement = background if self.config.outside == "background" else None
            seen = hide_outside(image_bgr, shown, replacement)
            outside = subtract_boxes(np.array([0, 0, width, height], np.float32), shown)
            if replacement is not None:
                objects.append(self._find(seen))  # the empty scene may hold something that has stood there for long
        hidden = whole_pixels(np.concatenate(objects), image_bgr)
        boxes = as_boxes(hidden)
        hide_boxes_inplace_(seen, boxes)
        return TreatedPicture(seen, np.concatenate([outside, boxes]))

    def treat_background(self, luma: ImageArray) -> ImageArray:
        """Return what may be seen of the (h, w) brightness of the empty scene: all of it is outside."""
        picture = cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR)
        if self.config.outside == "blur":
            picture = hide_outside(picture, as_boxes([]), None)
        else:
            hide_boxes_inplace_(picture, self._find(picture))
        return np.ascontiguousarray(picture[:, :, 0])

    def _find(self, image_bgr: ImageArray) -> FloatArray:
        """Return (K, 4) widened boxes of objects to hide: of the whole picture and of tiles, as found, unmerged."""
        if self._finder is None or not self._hidden_ids:
            return as_boxes([])
        height, width = image_bgr.shape[:2]
        frame = (0, 0, width, height)
        boxes = []
        for x1, y1, x2, y2 in (frame, *grid_of_tiles(frame, _LOOK_GRID, _LOOK_OVERLAP)):
            found = self._finder.detect(np.ascontiguousarray(image_bgr[y1:y2, x1:x2]))
            wanted = found.above(self.config.hide_min_score)
            wanted = wanted.select(np.isin(wanted.class_ids, self._hidden_ids))
            boxes.append(wanted.shifted(x1, y1).boxes_xyxy)
        return widened(np.concatenate(boxes), self.config.hide_margin)


class ProtectedTeacher:
    """A teacher that sees what the filter lets through, and nothing else; a core `Teacher`.

    Args:
        teacher: gives the labels, perhaps at another machine.
        privacy: what it may see.
    """

    may_see_backgrounds = False

    def __init__(self, teacher: Teacher, privacy: PrivacyFilter) -> None:
        self._teacher, self._filter = teacher, privacy
        self.name, self.labels, self.input_size_wh = teacher.name, teacher.labels, teacher.input_size_wh
        self.may_see_whole_frames = not privacy.config.shows_regions_only

    def looking(self, look: Look) -> ProtectedTeacher:
        """Return the same teacher with another way to look, which the filter may still forbid."""
        return ProtectedTeacher(self._teacher.looking(look), self._filter)

    def annotate(
        self, image_bgr: ImageArray, regions_xyxy: FloatArray | None, *, scene: Scene | None = None
    ) -> Annotation:
        """Look at what may be seen of a (H, W, 3) picture; of the scene, only what the filter needs is read.

        Args:
            image_bgr: not changed.
            regions_xyxy: as of `RegionTeacher.annotate`; where only regions may be seen, None stands for none.
            scene: what moves is shown, and the background takes the place of the rest; None: the regions move, and
                the background is unknown.
        """
        if not self.may_see_whole_frames and (regions_xyxy is None or len(regions_xyxy) == 0):
            return Annotation.nothing_seen()
        scene = scene or Scene(as_boxes([] if regions_xyxy is None else regions_xyxy), lambda: None)
        background = scene.read_background() if self._filter.config.outside == "background" else None
        seen = self._filter.treat(image_bgr, scene.moving_xyxy, background)
        teacher = self._teacher.looking("crops") if self._filter.config.send == "crops" else self._teacher
        return without_hidden(teacher.annotate(seen.image_bgr, regions_xyxy), seen.hidden_xyxy)


def without_hidden(annotation: Annotation, hidden_xyxy: FloatArray) -> Annotation:
    """Return an annotation that says nothing about (K, 4) hidden rectangles: no label there, and not looked at."""
    if len(hidden_xyxy) == 0:
        return annotation
    found = annotation.detections
    is_visible = covered_together(found.boxes_xyxy, hidden_xyxy) <= _HIDDEN_FRACTION
    looked = [subtract_boxes(rectangle, hidden_xyxy) for rectangle in annotation.looked_xyxy]
    return Annotation(
        found.select(np.asarray(is_visible, np.bool_)),
        np.concatenate([as_boxes([]), *looked]),
        annotation.n_calls,
        annotation.n_pixels,
    )
