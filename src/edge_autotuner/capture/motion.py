"""The motion gate: where does a frame differ from the background?

Frames are shrunk first: motion needs no fine detail, and a quarter of the pixels costs a quarter of the time. Regions
come back in frame pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.capture.background import make_background
from edge_autotuner.capture.regions import grow_regions, merge_all, merge_touching, union_area
from edge_autotuner.config import BackgroundConfig, MotionConfig
from edge_autotuner.core import Frame, scale_boxes
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray, SizeWH


@dataclass(frozen=True)
class SensitivityPreset:
    """What a sensitivity stands for.

    Attributes:
        threshold: smallest difference of blurred brightness, grey levels.
        min_area_fraction: smallest changed area, share of the frame.
    """

    threshold: int
    min_area_fraction: float


PRESETS: dict[str, SensitivityPreset] = {
    "low": SensitivityPreset(40, 1e-3),
    "medium": SensitivityPreset(24, 2e-4),
    "high": SensitivityPreset(14, 1e-4),
}


@dataclass(frozen=True, eq=False)
class MotionResult:
    """What the gate saw in one frame.

    Attributes:
        regions_xyxy: (R, 4) float32, frame pixels, sorted from left to right.
        motion_fraction: share of the frame that the regions cover, 0..1.
        mask: (h, w) bool at working size: changed pixels, without those of areas that are too small.
        blurred_luma: (h, w) uint8: the frame at working size, blurred, as it was compared.
        background: (h, w) uint8, not blurred: what the frame was compared with; None while the scene is still
            being learned, and then there are no regions.
    """

    regions_xyxy: FloatArray
    motion_fraction: float
    mask: BoolArray
    blurred_luma: ImageArray
    background: ImageArray | None

    @property
    def background_known(self) -> bool:
        """Whether the frame could be compared with anything."""
        return self.background is not None

    @property
    def has_motion(self) -> bool:
        """Whether there is anything new to see."""
        return len(self.regions_xyxy) > 0


class MotionGate:
    """Compares each frame with a background that it learns from the same frames, in order.

    Source:
        Rivas et al. 2021, section 4.2.1: blur, absolute difference, threshold, dilate, contours, minimum
        area, timer that resets the background. Differs: connected areas instead of contours, which have the
        same bounding boxes and count their changed pixels exactly.
    """

    def __init__(self, motion: MotionConfig, background: BackgroundConfig) -> None:
        self._motion = motion
        self._reset_every_s = background.reset_every_s
        self._model = make_background(background)
        self._last_reset_s: float | None = None
        self._compared: ImageArray | None = None  # the background whose blurred form is kept
        self._compared_blurred: ImageArray | None = None

    @property
    def threshold(self) -> int:
        """Smallest difference of blurred brightness that counts as a change, grey levels."""
        return self._motion.threshold or PRESETS[self._motion.sensitivity].threshold

    def look(self, frame: Frame) -> MotionResult:
        """Compare the frame with the background of the frames before it, then learn from it."""
        self._reset_when_due(frame.time_s)
        small = self._shrink(frame.luma)
        blurred = self._blur(small)
        background, blurred_background = self._model.background, self._blurred_background()
        self._model.update(small)
        if blurred_background is None:
            return MotionResult(np.zeros((0, 4), np.float32), 0.0, np.zeros(blurred.shape, bool), blurred, None)
        areas_xyxy, mask = self._find_changes(blurred, blurred_background, frame.size_wh)
        regions = self._make_regions(areas_xyxy, blurred, frame.size_wh)
        motion_fraction = union_area(regions) / (frame.size_wh[0] * frame.size_wh[1])
        return MotionResult(regions, motion_fraction, mask, blurred, background)

    def current_background(self) -> ImageArray | None:
        """Return the (h, w) uint8 background at working size, or None while it is unknown."""
        return self._model.background

    def _reset_when_due(self, time_s: float) -> None:
        if self._last_reset_s is None:
            self._last_reset_s = time_s
        if self._reset_every_s is not None and time_s - self._last_reset_s >= self._reset_every_s:
            self._model.reset()
            self._last_reset_s = time_s

    def _shrink(self, luma: ImageArray) -> ImageArray:
        height, width = luma.shape
        if width <= self._motion.working_width_px:
            return luma
        small_wh = self._motion.working_width_px, max(1, round(height * self._motion.working_width_px / width))
        return np.asarray(cv2.resize(luma, small_wh, interpolation=cv2.INTER_AREA), np.uint8)

    def _blur(self, luma: ImageArray) -> ImageArray:
        return np.asarray(cv2.GaussianBlur(luma, (self._motion.blur_px, self._motion.blur_px), 0), np.uint8)

    def _blurred_background(self) -> ImageArray | None:
        background = self._model.background
        if background is not self._compared:
            self._compared = background
            self._compared_blurred = None if background is None else self._blur(background)
        return self._compared_blurred

    def _find_changes(
        self, blurred: ImageArray, background: ImageArray, size_wh: SizeWH
    ) -> tuple[FloatArray, BoolArray]:
        """Return the (A, 4) boxes, working pixels, of connected changes that are large enough, and their pixels."""
        difference = cv2.absdiff(blurred, background)
        changed = cv2.threshold(difference, self.threshold - 1, 1, cv2.THRESH_BINARY)[1]
        _, area_ids, stats, _ = cv2.connectedComponentsWithStats(_dilate(changed, self._motion.dilate_px))
        n_changed = np.bincount(area_ids[changed > 0], minlength=len(stats))  # (areas,), changed before growing
        is_kept = n_changed >= self._min_area_fraction(size_wh) * changed.size
        is_kept[0] = False  # area 0 is what did not change
        x, y, width, height = stats[is_kept, :4].T
        boxes = np.stack([x, y, x + width, y + height], axis=1).astype(np.float32)
        return boxes, (changed > 0) & is_kept[area_ids]

    def _min_area_fraction(self, size_wh: SizeWH) -> float:
        if self._motion.min_area_px is not None:
            return self._motion.min_area_px / (size_wh[0] * size_wh[1])
        return PRESETS[self._motion.sensitivity].min_area_fraction

    def _make_regions(self, areas_xyxy: FloatArray, working: ImageArray, size_wh: SizeWH) -> FloatArray:
        height, width = working.shape
        regions = grow_regions(
            scale_boxes(areas_xyxy, from_size_wh=(width, height), to_size_wh=size_wh),
            margin_fraction=self._motion.padding_fraction,
            min_px=self._motion.min_region_px,
            size_wh=size_wh,
        )
        if self._motion.merge == "overlapping":
            return merge_touching(regions)
        return merge_all(regions) if self._motion.merge == "all" else regions


def _dilate(changed: ImageArray, spot_px: int) -> ImageArray:
    if spot_px <= 1:
        return changed
    spot = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (spot_px, spot_px))
    return np.asarray(cv2.dilate(changed, spot), np.uint8)
