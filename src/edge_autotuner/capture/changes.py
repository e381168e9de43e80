"""Which pixels of a frame have changed, and which areas they form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.capture.noise import NoiseEstimate
from edge_autotuner.config import MotionConfig
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray, SizeWH

Polygon = Sequence[tuple[float, float]]
"""Corners as shares of the picture's width and height, 0..1."""

_NEVER = 255  # no difference is larger
_SAMPLE_STEP_PX = 8  # of the pixels that tell the light of the picture
_SAME_LIGHT = 1  # grey levels of brighter or darker light that are not worth a correction


def blur(luma: ImageArray, side_px: int) -> ImageArray:
    """Return a new (h, w) picture: the mean of the square around each pixel."""
    return np.asarray(cv2.blur(luma, (side_px, side_px)), np.uint8)


@dataclass(frozen=True, eq=False)
class _Reference:
    """What frames are compared with.

    Attributes:
        background: (h, w) uint8 of which the others are made.
        blurred: (h, w) uint8.
        darkest: (h, w) uint8: smallest value of `blurred` around each pixel.
        brightest: (h, w) uint8: largest value of `blurred` around each pixel.
    """

    background: ImageArray
    blurred: ImageArray
    darkest: ImageArray
    brightest: ImageArray


class ChangeFinder:
    """Compares frames of one size with the background.

    A pixel has changed when it is brighter or darker than the whole background around it, by the threshold and
    by more than its place flickers anyway. What most of the picture became brighter or darker by is light, or the
    camera's exposure, and no change.

    Args:
        threshold: smallest difference that counts, grey levels.
    """

    def __init__(self, motion: MotionConfig, *, threshold: int, size_wh: SizeWH) -> None:
        self._motion, self._threshold = motion, threshold
        watched = watched_pixels(size_wh, ignore=motion.ignore, watch=motion.watch)
        self._fixed_limits = np.where(watched, threshold - 1, _NEVER).astype(np.uint8)
        self._limits = self._fixed_limits  # (h, w) largest difference that is no change
        self._noise = NoiseEstimate(size_wh) if motion.noise_factor > 0 else None
        self._reference: _Reference | None = None

    def find(self, blurred: ImageArray, background: ImageArray, time_s: float) -> ImageArray:
        """Return (h, w) uint8: 255 where the frame has changed, 0 elsewhere; then learn from its flicker.

        Args:
            blurred: (h, w) uint8, as `blur` returns it; it may be kept.
            background: (h, w) uint8, not blurred. As long as it is the same array, it must not change.
            time_s: of the frame.
        """
        reference = self._reference_of(background)
        darkest, brightest = _in_light_of(blurred, reference)
        difference = cv2.max(cv2.subtract(blurred, brightest), cv2.subtract(darkest, blurred))
        changed = cv2.compare(difference, self._limits, cv2.CMP_GT)
        if self._noise is not None and self._noise.is_due(time_s):
            self._noise.learn(blurred, reference.blurred, time_s)
            self._limits = self._limits_beside(self._noise)
        return np.asarray(changed, np.uint8)

    def _limits_beside(self, noise: NoiseEstimate) -> ImageArray:
        factor = self._motion.noise_factor
        if float(noise.levels.max()) * factor < self._threshold:
            return self._fixed_limits
        return np.maximum(self._fixed_limits, noise.limits(factor))

    def _reference_of(self, background: ImageArray) -> _Reference:
        if self._reference is None or self._reference.background is not background:
            blurred, around = blur(background, self._motion.blur_px), _square(2 * self._motion.shake_px + 1)
            darkest, brightest = cv2.erode(blurred, around), cv2.dilate(blurred, around)
            self._reference = _Reference(
                background, blurred, np.asarray(darkest, np.uint8), np.asarray(brightest, np.uint8)
            )
        return self._reference


def find_areas(changed: ImageArray, *, spot_px: int, min_changed_px: float) -> FloatArray:
    """Return (A, 4) boxes, working pixels, around changed pixels that are close to each other.

    Args:
        changed: (h, w) uint8, 0 where nothing has changed.
        spot_px: side of the square that each changed pixel grows to; pixels whose squares touch belong together.
            The boxes are those of the pixels before they grew.
        min_changed_px: areas with fewer changed pixels in their box are left out.
    """
    if cv2.countNonZero(changed) < max(min_changed_px, 1):
        return as_boxes([])
    grown = cv2.dilate(changed, _square(spot_px)) if spot_px > 1 else changed
    outlines, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes = (_box_of_changes(changed, cv2.boundingRect(outline), min_changed_px) for outline in outlines)
    return as_boxes([box for box in boxes if box is not None])


def pixels_in_areas(changed: ImageArray, areas_xyxy: FloatArray) -> BoolArray:
    """Return (h, w): the changed pixels inside an area."""
    mask = np.zeros(changed.shape, np.bool_)
    for x1, y1, x2, y2 in areas_xyxy.astype(int).tolist():
        mask[y1:y2, x1:x2] = changed[y1:y2, x1:x2] > 0
    return mask


def _in_light_of(blurred: ImageArray, reference: _Reference) -> tuple[ImageArray, ImageArray]:
    """Return the darkest and the brightest background around each pixel, as they would look in the light of a frame."""
    every = slice(None, None, _SAMPLE_STEP_PX)
    brighter_by = np.subtract(blurred[every, every], reference.blurred[every, every], dtype=np.int16)
    light = int(np.partition(brighter_by.ravel(), brighter_by.size // 2)[brighter_by.size // 2])  # the median, fast
    if abs(light) <= _SAME_LIGHT:
        return reference.darkest, reference.brightest
    shift, by = cv2.add if light > 0 else cv2.subtract, np.full_like(blurred, abs(light))
    darkest, brightest = shift(reference.darkest, by), shift(reference.brightest, by)
    return np.asarray(darkest, np.uint8), np.asarray(brightest, np.uint8)


def _box_of_changes(
    changed: ImageArray, rectangle: tuple[int, ...], min_changed_px: float
) -> tuple[int, int, int, int] | None:
    left, top, width, height = rectangle
    part = changed[top : top + height, left : left + width]
    if part.size < min_changed_px or cv2.countNonZero(part) < min_changed_px:
        return None
    x, y, width, height = cv2.boundingRect(part)
    return left + x, top + y, left + x + width, top + y + height


def _square(side_px: int) -> ImageArray:
    return np.ones((side_px, side_px), np.uint8)


def watched_pixels(size_wh: SizeWH, *, ignore: Sequence[Polygon], watch: Sequence[Polygon]) -> BoolArray:
    """Return an (h, w) mask of the pixels whose changes count.

    Pixels inside a `watch` polygon count, or all pixels if there is none; those inside an `ignore` polygon never do. A
    polygon includes its outline.
    """
    watched = np.full((size_wh[1], size_wh[0]), not watch, np.uint8)
    for polygon in watch:
        cv2.fillPoly(watched, [_corners(polygon, size_wh)], 1)
    for polygon in ignore:
        cv2.fillPoly(watched, [_corners(polygon, size_wh)], 0)
    return watched.view(np.bool_)


def _corners(polygon: Polygon, size_wh: SizeWH) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    last_pixel = np.array(size_wh) - 1
    return np.asarray(np.rint(np.array(polygon) * last_pixel), np.int32)
