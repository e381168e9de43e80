"""Backgrounds that keep no frames: the running median, and the first frame."""

from __future__ import annotations

from typing import Self

import cv2
import numpy as np

from edge_autotuner.capture.background.median import MIN_SAMPLES, EveryKth, MedianBackground
from edge_autotuner.config import BackgroundConfig
from edge_autotuner.core.types import ImageArray


class RunningBackground:
    """Each pixel moves by one level towards the frame, every k-th frame; it settles in the middle of what it sees.

    An object that differs by d levels becomes background after standing still for d * k frames. To be known at
    once, the background is the median of the samples, from three on, until there are N of them.

    Args:
        n_start_frames: N, samples in the median of the start.
        every_k_frames: k.
        quick_start: take the first three frames without gaps, for scenes that have just changed.

    Source:
        McFarlane and Schofield 1995, Segmentation and tracking of piglets in images; called "Sigma-Delta" in
        Manzanera and Richefeu 2007. Differs: starts from a median instead of from the first frame.
    """

    def __init__(self, n_start_frames: int = 15, every_k_frames: int = 5, *, quick_start: bool = False) -> None:
        if n_start_frames < 1:
            raise ValueError(f"N must be at least 1, got {n_start_frames}")
        self._n_start_frames = n_start_frames
        self._sampling = EveryKth(every_k_frames, min(MIN_SAMPLES, n_start_frames) if quick_start else 1)
        self._start: MedianBackground | None = None
        self._background: ImageArray | None = None
        self.reset()

    @classmethod
    def configured(cls, config: BackgroundConfig, *, quick_start: bool) -> Self:
        """Make one as configured."""
        return cls(config.n_frames, config.every_k_frames, quick_start=quick_start)

    def update(self, luma: ImageArray) -> None:
        """Count the frame, and move towards it if it is a sample.

        Raises:
            ValueError: the frame has another size than those before.
        """
        if not self._sampling.count():
            return
        if self._start is not None:
            self._start_with(self._start, luma)
        elif self._background is not None:
            self._background = _moved_towards(self._background, luma)

    @property
    def background(self) -> ImageArray | None:
        """The running median, or None before three samples; the same array until a pixel moves."""
        return self._background

    def reset(self) -> None:
        """Forget everything."""
        self._sampling.reset()
        self._start = MedianBackground(self._n_start_frames, 1, 1)
        self._n_samples = 0
        self._background = None

    def _start_with(self, start: MedianBackground, luma: ImageArray) -> None:
        start.update(luma)
        self._background = start.background
        self._n_samples += 1
        if self._n_samples == self._n_start_frames:
            self._start = None  # and its samples


def _moved_towards(background: ImageArray, luma: ImageArray) -> ImageArray:
    """Return the (H, W) background with each pixel one level closer to the frame; itself if they are equal."""
    if luma.shape != background.shape:
        raise ValueError(f"frames must keep their size {background.shape}, got {luma.shape}; reset first")
    if np.array_equal(background, luma):
        return background
    up = cv2.min(cv2.subtract(luma, background), 1)  # subtract stops at 0
    down = cv2.min(cv2.subtract(background, luma), 1)
    return np.asarray(cv2.subtract(cv2.add(background, up), down), np.uint8)


class FirstFrame:
    """Takes the first frame after the start or a reset for the background: for cameras that start on an empty scene."""

    def __init__(self) -> None:
        self._background: ImageArray | None = None

    @classmethod
    def configured(cls, config: BackgroundConfig, *, quick_start: bool) -> Self:
        """Make one; there is nothing to configure, and every start is quick."""
        return cls()

    def update(self, luma: ImageArray) -> None:
        """Keep a copy of the frame if it is the first."""
        if self._background is None:
            self._background = luma.copy()

    @property
    def background(self) -> ImageArray | None:
        """The first frame."""
        return self._background

    def reset(self) -> None:
        """Make the next frame the first."""
        self._background = None
