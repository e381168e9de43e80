"""A background method: the mean, in which older frames count less and less."""

from __future__ import annotations

import cv2
import numpy as np

from edge_autotuner.config import BackgroundConfig
from edge_autotuner.core.types import ImageArray

_RATE = 0.05  # share of the newest frame


class BlendedBackground:
    """Blends every frame into the background; a core `BackgroundModel`."""

    def __init__(self, config: BackgroundConfig, *, quick_start: bool) -> None:
        self._mean: np.ndarray | None = None
        self._background: ImageArray | None = None

    def update(self, luma: ImageArray) -> None:
        """Learn from the next frame."""
        frame = luma.astype(np.float32)
        if self._mean is None:
            self._mean = frame
        else:
            cv2.accumulateWeighted(frame, self._mean, _RATE)
        self._background = np.rint(self._mean).astype(np.uint8)

    @property
    def background(self) -> ImageArray | None:
        """The mean; None before the first frame."""
        return self._background

    def reset(self) -> None:
        """Forget everything."""
        self._mean = self._background = None
