"""The motion gate: where does a frame differ from the background?

Frames are shrunk first: motion needs no fine detail, and a quarter of the pixels costs a quarter of the time. Regions
come back in frame pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from edge_autotuner.capture.background.keeper import BackgroundKeeper
from edge_autotuner.capture.changes import ChangeFinder, blur, find_areas, pixels_in_areas
from edge_autotuner.capture.persistence import Persistence
from edge_autotuner.capture.regions import grow_regions, join_touching, merge_all, sort_regions, union_area
from edge_autotuner.config import BackgroundConfig, MotionConfig
from edge_autotuner.core import Clock, Frame, MotionResult, OnEvent, SystemClock, ignore_event, scale_boxes
from edge_autotuner.core.types import FloatArray, ImageArray, SizeWH

_MIN_REGION = 1 / 12  # default of min_region_px, share of the frame's width
_MAX_GROWTH = 4 / 3  # a joined region is at most so much larger than its parts together
_MAX_SHRINKING = 4  # in one step
_MAX_AREAS = 128  # with more of them (rain, a picture that is only noise) they are one: sorting them out costs too much


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
    "low": SensitivityPreset(28, 1e-3),
    "medium": SensitivityPreset(15, 2e-4),
    "high": SensitivityPreset(10, 1e-4),
}


def change_threshold(motion: MotionConfig) -> int:
    """Return the smallest difference of blurred brightness that counts as a change, grey levels."""
    return motion.threshold or PRESETS[motion.sensitivity].threshold


@dataclass(frozen=True, eq=False)
class _SizeState:
    """What holds for frames of one size only.

    Attributes:
        size_wh: of the frames.
        small_wh: of the frames at working size.
        changes: knows how the places flicker.
        persistence: knows the areas of the last frame.
        min_changed_px: changed pixels of the smallest area, working pixels.
    """

    size_wh: SizeWH
    small_wh: SizeWH
    changes: ChangeFinder
    persistence: Persistence
    min_changed_px: float


class MotionGate:
    """Compares each frame with a background that it learns from the same frames, in order.

    When the size of the frames changes, as a camera's may after a reconnect, what was learnt at the old one is
    forgotten; the background as well, unless the working size stays the same.

    Source:
        Rivas et al. 2021, section 4.2.1: blur, absolute difference, threshold, dilate, contours, minimum
        area, timer that resets the background. Differs: the difference is the one to the nearest brightness of the
        background around the pixel; the threshold rises where it flickers; a change must last; the boxes are those
        of the changes before they were dilated.
    """

    def __init__(
        self,
        motion: MotionConfig,
        background: BackgroundConfig,
        *,
        on_event: OnEvent = ignore_event,
        clock: Clock | None = None,
    ) -> None:
        self._motion = motion
        self._clock = clock or SystemClock()
        self._keeper = BackgroundKeeper(background, on_event=on_event)
        self._state: _SizeState | None = None

    def look(self, frame: Frame) -> MotionResult:
        """Compare the frame with the background of the frames before it, then learn from it."""
        started_s = self._clock.monotonic_s()
        result = self._compare(frame)
        return replace(result, gate_s=self._clock.monotonic_s() - started_s)

    def _compare(self, frame: Frame) -> MotionResult:
        small = shrink(frame.luma, self._motion.working_width_px)
        state = self._state = self._state_for(frame.size_wh, (small.shape[1], small.shape[0]))
        blurred = blur(small, self._motion.blur_px)
        background = self._keeper.see(small, frame)
        if background is None:
            state.persistence.forget()
            return MotionResult(np.zeros((0, 4), np.float32), 0.0, np.zeros(blurred.shape, np.bool_), blurred, None)
        changed = state.changes.find(blurred, background, frame.time_s)
        areas = find_areas(changed, spot_px=self._motion.dilate_px, min_changed_px=state.min_changed_px)
        if len(areas) > _MAX_AREAS:
            areas = merge_all(areas)
        areas = areas[state.persistence.confirm(areas, frame.time_s)]
        areas_xyxy = scale_boxes(areas, from_size_wh=state.small_wh, to_size_wh=state.size_wh)
        regions = self._make_regions(areas_xyxy, state)
        motion_fraction = union_area(regions) / (frame.size_wh[0] * frame.size_wh[1])
        mask = pixels_in_areas(changed, areas)
        return MotionResult(regions, motion_fraction, mask, blurred, background, areas_xyxy=areas_xyxy)

    def _state_for(self, size_wh: SizeWH, small_wh: SizeWH) -> _SizeState:
        if self._state is not None and (self._state.size_wh, self._state.small_wh) == (size_wh, small_wh):
            return self._state
        return _SizeState(
            size_wh,
            small_wh,
            ChangeFinder(self._motion, threshold=change_threshold(self._motion), size_wh=small_wh),
            Persistence(self._motion.persistence_frames, slack_px=self._motion.dilate_px),
            self._min_area_fraction(size_wh) * small_wh[0] * small_wh[1],
        )

    def _min_area_fraction(self, size_wh: SizeWH) -> float:
        if self._motion.min_area_px is not None:
            return self._motion.min_area_px / (size_wh[0] * size_wh[1])
        return PRESETS[self._motion.sensitivity].min_area_fraction

    def _make_regions(self, areas_xyxy: FloatArray, state: _SizeState) -> FloatArray:
        if len(areas_xyxy) == 0:
            return areas_xyxy
        regions = grow_regions(
            areas_xyxy,
            margin_fraction=self._motion.padding_fraction,
            min_px=self._motion.min_region_px or state.size_wh[0] * _MIN_REGION,
            size_wh=state.size_wh,
        )
        if self._motion.merge == "all":
            return merge_all(regions)
        if self._motion.merge == "overlapping":
            return join_touching(regions, max_growth=_MAX_GROWTH)
        return sort_regions(regions)


def shrink(luma: ImageArray, max_width_px: int) -> ImageArray:
    """Return the picture with at most this width, its proportions kept.

    A pixel is the mean of four of those that it stands for, at a quarter of the size of four in one row. More of them
    would be smoother, but reading them costs more than everything else that the gate does, and the gate's blur evens
    out what noise remains. Pictures of more than four times the width are halved first.

    Args:
        luma: (H, W) uint8; the answer is this very array if it is narrow enough.
        max_width_px: at least 1.
    """
    height, width = luma.shape
    small = luma
    while width > _MAX_SHRINKING * max_width_px:
        width, height = width // 2, max(1, height // 2)
        small = _resize(small, width, height)
    if (width, height % 4) == (4 * max_width_px, 0):
        return _quarter(small)
    if width > max_width_px:
        small = _resize(small, max_width_px, max(1, round(height * max_width_px / width)))
    return small


def _resize(luma: ImageArray, width: int, height: int) -> ImageArray:
    # at exactly half the size, bilinear interpolation is the mean of 2x2 pixels; below, it reads no others either
    return np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _quarter(luma: ImageArray) -> ImageArray:
    """Return the picture at a quarter of its size: of every fourth row, weighted means of four neighbours.

    The fastest way that OpenCV has: four neighbours are the channels of a colour, of which it makes grey (weights .11,
    .59, .30 and 0). The noise that is left is two thirds of a pixel's.
    """
    height, width = luma.shape
    colours = luma[1::4].reshape(height // 4, width // 4, 4)
    return np.asarray(cv2.cvtColor(colours, cv2.COLOR_BGRA2GRAY), np.uint8)
