"""OpenCV's background subtractors, of which only the background picture is used."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from edge_autotuner.core.types import ImageArray

_MIN_FRAMES = 10  # their first pictures still show what was moving


class Mog2Background:
    """A mixture of Gaussians per pixel (OpenCV's MOG2); known after ten frames.

    Source:
        Zivkovic 2004, Improved adaptive Gaussian mixture model for background subtraction.
    """

    def __init__(self) -> None:
        self._background: ImageArray | None = None
        self.reset()

    def update(self, luma: ImageArray) -> None:
        """Learn from the frame."""
        self._subtractor.apply(luma)
        self._n_seen += 1
        self._background = None

    @property
    def background(self) -> ImageArray | None:
        """The weighted mean of the Gaussians that make up the background."""
        if self._background is None and self._n_seen >= _MIN_FRAMES:
            self._background = np.asarray(self._subtractor.getBackgroundImage(), np.uint8)
        return self._background

    def reset(self) -> None:
        """Start with a new mixture."""
        self._subtractor: Any = cv2.createBackgroundSubtractorMOG2(detectShadows=False)
        self._n_seen = 0
        self._background = None


class KnnBackground:
    """The samples of a pixel that have most neighbours (OpenCV's KNN); known after ten frames.

    OpenCV chooses the samples with the random generator of the calling thread; `update` seeds that generator,
    so that the same frames give the same background.

    Source:
        Zivkovic and van der Heijden 2006, Efficient adaptive density estimation per image pixel.
    """

    def __init__(self) -> None:
        self._background: ImageArray | None = None
        self.reset()

    def update(self, luma: ImageArray) -> None:
        """Learn from the frame."""
        cv2.setRNGSeed(self._n_seen)
        self._subtractor.apply(luma)
        self._n_seen += 1
        self._background = None

    @property
    def background(self) -> ImageArray | None:
        """The sample that represents the background."""
        if self._background is None and self._n_seen >= _MIN_FRAMES:
            self._background = np.asarray(self._subtractor.getBackgroundImage(), np.uint8)
        return self._background

    def reset(self) -> None:
        """Start without samples."""
        self._subtractor: Any = cv2.createBackgroundSubtractorKNN(detectShadows=False)
        self._n_seen = 0
        self._background = None
