"""The paper's background: a pixel-wise median over time, then the moving median of such medians."""

from __future__ import annotations

from collections import deque

import numpy as np

from edge_autotuner.capture.background.pixel_median import pixel_median
from edge_autotuner.core.types import ImageArray

_MIN_SAMPLES = 3  # with fewer samples a median cannot outvote a passing object


class MedianBackground:
    """Median of N frames taken every k frames; the background is the median of the last M medians.

    The first frame and then every k-th is a sample. N samples make one median and the next N the next one, so
    that an object has to stand still for about half of N * k * M frames before it becomes background, and
    vanishes from it as fast once it leaves. Until the first N samples are there, the background is the median
    of the samples so far, from three samples on (or from N, if that is fewer). Medians of an even count are the lower
    of the two middle values, so that every value was really seen.

    Source:
        Rivas et al. 2021, section 4.2.1, which leaves open whether successive medians share frames; here
        they do not.
    """

    def __init__(self, n_frames: int = 15, every_k_frames: int = 5, n_backgrounds: int = 3) -> None:
        if min(n_frames, every_k_frames, n_backgrounds) < 1:
            raise ValueError(f"N, k and M must be at least 1, got {n_frames}, {every_k_frames}, {n_backgrounds}")
        self._n_frames = n_frames
        self._every_k_frames = every_k_frames
        self._medians: deque[ImageArray] = deque(maxlen=n_backgrounds)
        self._background: ImageArray | None = None
        self.reset()

    def update(self, luma: ImageArray) -> None:
        """Count the frame, and learn from every k-th."""
        is_sample = self._n_seen % self._every_k_frames == 0
        self._n_seen += 1
        if not is_sample:
            return
        self._samples.append(luma.copy())
        if len(self._samples) == self._n_frames:
            self._medians.append(pixel_median(np.stack(self._samples)))
            self._samples.clear()
            self._background = pixel_median(np.stack(self._medians))
        elif not self._medians and len(self._samples) >= _MIN_SAMPLES:
            self._background = pixel_median(np.stack(self._samples))

    @property
    def background(self) -> ImageArray | None:
        """The median, or None before three samples."""
        return self._background

    def reset(self) -> None:
        """Forget all samples and medians."""
        self._n_seen = 0
        self._samples: list[ImageArray] = []
        self._medians.clear()
        self._background = None
