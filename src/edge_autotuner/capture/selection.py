"""Which frames are worth a teacher's time: those that show something that the last chosen one did not."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import cv2

from edge_autotuner.capture.motion import MotionResult
from edge_autotuner.config import CaptureConfig
from edge_autotuner.core import Frame
from edge_autotuner.core.types import ImageArray

Reason = Literal["selected", "background unknown", "no motion", "too soon", "nothing new"]


class FrameSelector:
    """Decides frame by frame; the same frames in the same order give the same decisions.

    A frame is selected when it has motion, is not too close to the last selected one, and when at least
    `min_change_fraction` of its changed pixels look different there. If there are more frames than
    `max_images`, that budget is released evenly over the part, so that the whole period is covered; what an
    empty stretch leaves unused may be spent later.

    Attributes:
        counts: how many frames got which answer.
    """

    def __init__(self, config: CaptureConfig, *, n_frames: int, threshold: int) -> None:
        """Start without a selected frame.

        Args:
            config: the limits.
            n_frames: length of the part to select from.
            threshold: difference of blurred brightness that counts as a change, grey levels.
        """
        self._budget_per_frame = config.max_images / max(n_frames, 1)
        self._min_gap_s = config.min_gap_s
        self._min_change_fraction = config.min_change_fraction
        self._threshold = threshold
        self._last: tuple[Frame, ImageArray] | None = None
        self.counts: Counter[Reason] = Counter()

    def decide(self, frame: Frame, motion: MotionResult) -> Reason:
        """Return why the frame is selected or not, and remember it if it is."""
        reason = self._judge(frame, motion)
        self.counts[reason] += 1
        if reason == "selected":
            self._last = frame, motion.blurred_luma
        return reason

    def _judge(self, frame: Frame, motion: MotionResult) -> Reason:
        if not motion.background_known:
            return "background unknown"
        if not motion.has_motion:
            return "no motion"
        if self._last is None:
            return "selected"
        last_frame, last_luma = self._last
        is_over_budget = self.counts["selected"] >= self._budget_per_frame * self.counts.total()
        if is_over_budget or frame.time_s - last_frame.time_s < self._min_gap_s:
            return "too soon"
        differs = cv2.absdiff(motion.blurred_luma, last_luma) >= self._threshold
        n_changed = int(motion.mask.sum())
        n_new = int((motion.mask & differs).sum())
        return "selected" if n_new >= self._min_change_fraction * n_changed else "nothing new"
