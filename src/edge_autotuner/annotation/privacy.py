"""Hides parts of frames from teachers, other machines and the disk, as the privacy settings say.

A hidden area becomes a handful of mean colours; nothing finer is left of it.
"""

from __future__ import annotations

import cv2
import numpy as np

from edge_autotuner.annotation.views import grid_of_tiles, shown_rectangles
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.config.run import PrivacyConfig
from edge_autotuner.core import Annotation, Detector, Look, Scene, Teacher, subtract_boxes
from edge_autotuner.core.boxes import as_boxes, clip_boxes, covered_together
from edge_autotuner.core.types import FloatArray, ImageArray
from edge_autotuner.dataset.pictures import TreatedPicture

_LOOK_GRID = 2, 2  # besides the whole picture, so that small objects are found, too
_LOOK_OVERLAP = 0.25
_HIDDEN_FRACTION = 0.3  # a box that is hidden by more than this is not labelled: the teacher has not seen the object


class PrivacyFilter:
    """Hides what must not be seen; a `PictureTreatment`.

    `annotation` has the margins of crops. `finder` finds objects of `config.hide_classes`.

    Raises:
        ValueError: there are such classes, and no finder that knows them.
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
        """Apply `outside` and `hide_classes` to a (H, W, 3) picture."""
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
    """A teacher, perhaps on another machine, that sees only what the filter lets through; a core `Teacher`."""

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

        Regions are as for `RegionTeacher.annotate`; where only regions may be seen, None stands for none. What moves in
        the scene is shown, and the background takes the place of the rest; without a scene the regions move, and the
        background is unknown.
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


CELLS_PER_OBJECT = 4
"""Mean colours along the longer side of a hidden object: a face or a number plate needs several times as many."""

CELLS_PER_FRAME = 24
"""Mean colours along the longer side of a frame whose outside is hidden."""


def hide_boxes_inplace_(image_bgr: ImageArray, boxes_xyxy: FloatArray) -> None:
    """Hide what (K, 4) boxes of a (H, W, 3) picture show, each box by itself; boxes may reach outside."""
    for x1, y1, x2, y2 in whole_pixels(boxes_xyxy, image_bgr):
        image_bgr[y1:y2, x1:x2] = mean_colours(image_bgr[y1:y2, x1:x2], CELLS_PER_OBJECT)


def hide_outside(image_bgr: ImageArray, shown_xyxy: FloatArray, background: ImageArray | None) -> ImageArray:
    """Return a (H, W, 3) picture that shows the original only inside (R, 4) rectangles of whole pixels.

    Elsewhere it shows the (h, w) brightness of the empty scene with blurred colours, or is blurred if `background` is
    None.
    """
    height, width = image_bgr.shape[:2]
    rest = mean_colours(image_bgr, CELLS_PER_FRAME)
    if background is not None:
        colours = cv2.cvtColor(rest, cv2.COLOR_BGR2YCrCb)
        colours[:, :, 0] = cv2.resize(background, (width, height), interpolation=cv2.INTER_LINEAR)
        rest = np.asarray(cv2.cvtColor(colours, cv2.COLOR_YCrCb2BGR), np.uint8)
    for x1, y1, x2, y2 in whole_pixels(shown_xyxy, image_bgr):
        rest[y1:y2, x1:x2] = image_bgr[y1:y2, x1:x2]
    return rest


def mean_colours(area_bgr: ImageArray, n_cells: int) -> ImageArray:
    """Return an area of the same size, drawn from the mean colours of `n_cells` cells along its longer side.

    The means are taken first, so that nothing finer can be computed back from the smooth picture drawn from them.
    """
    height, width = area_bgr.shape[:2]
    cell = max(height, width) / n_cells
    cells_wh = max(1, round(width / cell)), max(1, round(height / cell))
    means = cv2.resize(area_bgr, cells_wh, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(means, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def widened(boxes_xyxy: FloatArray, margin: float) -> FloatArray:
    """Return (K, 4) boxes that are larger on each side by `margin` times their width or height."""
    boxes = as_boxes(boxes_xyxy)
    extra = (boxes[:, 2:] - boxes[:, :2]) * np.float32(margin)
    return np.concatenate([boxes[:, :2] - extra, boxes[:, 2:] + extra], axis=1)


def whole_pixels(boxes_xyxy: FloatArray, image_bgr: ImageArray) -> list[tuple[int, int, int, int]]:
    """Return the pixels that boxes touch, as corners inside the picture; boxes outside of it are left out."""
    boxes = as_boxes(boxes_xyxy)
    outer = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1)
    clipped = clip_boxes(outer, size_wh=(image_bgr.shape[1], image_bgr.shape[0])).astype(int)
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in clipped.tolist() if x2 > x1 and y2 > y1]
