"""OpenCV's background subtractors, of which only the background picture is used."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from edge_autotuner.core.types import ImageArray

_MIN_FRAMES = 10  # their first pictures still show what was moving


class _Subtractor:
    """What both share: known after ten frames, and the picture is asked for only when it is wanted."""

    def __init__(self) -> None:
        self._background: ImageArray | None = None
        self.reset()

    def update(self, luma: ImageArray) -> None:
        """Learn from the frame."""
        # KNN chooses samples with the random generator of the calling thread: the same frames, the same picture.
        cv2.setRNGSeed(self._n_seen)
        self._model.apply(luma)
        self._n_seen += 1
        self._background = None

    @property
    def background(self) -> ImageArray | None:
        """The picture that the model keeps of the scene; None during the first frames."""
        if self._background is None and self._n_seen >= _MIN_FRAMES:
            self._background = np.asarray(self._model.getBackgroundImage(), np.uint8)
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
