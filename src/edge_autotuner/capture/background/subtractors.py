"""OpenCV's background subtractors, of which only the background picture is used."""

from __future__ import annotations

from typing import Any, Self

import cv2
import numpy as np

from edge_autotuner.config import BackgroundConfig
from edge_autotuner.core.types import ImageArray

_MIN_FRAMES = 10  # their first pictures still show what was moving
_QUICK_MIN_FRAMES = 5  # a scene that has just changed: better a rough picture than none

# At 480x270 the picture costs 0.6 to 0.8 ms beside 3 to 4 ms for learning; within five frames 99.9 % of its pixels
# change by 3 levels at most (measured on a tree in the wind).
_PICTURE_EVERY = 5


class _Subtractor:
    """What both share: known after ten frames, then a new picture every five.

    Args:
        quick_start: known after five frames, for scenes that have just changed.
    """

    def __init__(self, *, quick_start: bool = False) -> None:
        self._min_frames = _QUICK_MIN_FRAMES if quick_start else _MIN_FRAMES
        self._background: ImageArray | None = None
        self.reset()

    @classmethod
    def configured(cls, config: BackgroundConfig, *, quick_start: bool) -> Self:
        """Make one; OpenCV's own numbers are used."""
        return cls(quick_start=quick_start)

    def update(self, luma: ImageArray) -> None:
        """Learn from the frame."""
        # KNN chooses samples with the random generator of the calling thread: the same frames, the same picture.
        cv2.setRNGSeed(self._n_seen)
        self._model.apply(luma)
        self._n_seen += 1
        n_late = self._n_seen - self._min_frames
        if n_late >= 0 and n_late % _PICTURE_EVERY == 0:
            self._background = np.asarray(self._model.getBackgroundImage(), np.uint8)

    @property
    def background(self) -> ImageArray | None:
        """The picture that the model keeps of the scene, at most four frames old; None during the first frames."""
        return self._background

    def reset(self) -> None:
        """Start with a new model."""
        self._model = self._new_model()
        self._n_seen = 0
        self._background = None

    def _new_model(self) -> Any:  # noqa: ANN401 (untyped library)
        raise NotImplementedError


class Mog2Background(_Subtractor):
    """A mixture of Gaussians per pixel (OpenCV's MOG2); the picture is the weighted mean of those of the background.

    Source:
        Zivkovic 2004, Improved adaptive Gaussian mixture model for background subtraction.
    """

    def _new_model(self) -> Any:  # noqa: ANN401 (untyped library)
        return cv2.createBackgroundSubtractorMOG2(detectShadows=False)


class KnnBackground(_Subtractor):
    """The samples of a pixel that have most neighbours (OpenCV's KNN).

    Source:
        Zivkovic and van der Heijden 2006, Efficient adaptive density estimation per image pixel.
    """

    def _new_model(self) -> Any:  # noqa: ANN401 (untyped library)
        return cv2.createBackgroundSubtractorKNN(detectShadows=False)
