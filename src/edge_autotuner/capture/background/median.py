"""The paper's background: a pixel-wise median over time, then the moving median of such medians."""

from __future__ import annotations

from collections import deque
from typing import Self

import numpy as np

from edge_autotuner.capture.background.pixel_rank import pixel_median, pixel_rank
from edge_autotuner.config import BackgroundConfig
from edge_autotuner.core.types import ImageArray

MIN_SAMPLES = 3
"""With fewer samples a median cannot outvote a passing object."""


class EveryKth:
    """Counts frames and picks the first one and then every k-th: neighbouring frames show almost the same.

    Args:
        k: distance of the picked frames, at least 1.
        n_at_once: number of frames at the start that are picked without gaps.
    """

    def __init__(self, k: int, n_at_once: int = 1) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        self._k = k
        self._n_at_once = n_at_once
        self._n_seen = 0

    def count(self) -> bool:
        """Count one frame and return whether it is picked."""
        is_picked = self._n_seen < self._n_at_once or self._n_seen % self._k == 0
        self._n_seen += 1
        return is_picked

    def reset(self) -> None:
        """Make the next frame the first."""
        self._n_seen = 0


class MedianBackground:
    """Median, or another percentile, of N frames taken every k frames; the background is the median of the last M.

    The first frame and then every k-th is a sample. N samples make one picture and the next N the next one, so
    that an object has to stand still for about half of N * k * M frames before it becomes background, and
    vanishes from it as fast once it leaves. Until the first N samples are there, the background is made of the
    samples so far, from three samples on (or from N, if that is fewer). Ranks between two values mean the lower
    one, so that every value was really seen.

    A percentile other than 50 leans to the dark or the bright side where objects cover a place for more than half
    of the time. It is applied once: the last M pictures all estimate the same empty scene, so that their median
    is taken for every percentile; with M = 3, percentile 40 would mean the minimum of three, which leans twice.

    Args:
        n_frames: N.
        every_k_frames: k.
        n_backgrounds: M.
        percentile: 0..100; 50 is the median.
        quick_start: take the first three frames without gaps, to know the background at once; for scenes
            that have just changed.

    Source:
        Rivas et al. 2021, section 4.2.1, which leaves open whether successive medians share frames; here
        they do not.
    """

    def __init__(
        self,
        n_frames: int = 15,
        every_k_frames: int = 5,
        n_backgrounds: int = 3,
        *,
        percentile: float = 50.0,
        quick_start: bool = False,
    ) -> None:
        if min(n_frames, every_k_frames, n_backgrounds) < 1:
            raise ValueError(f"N, k and M must be at least 1, got {n_frames}, {every_k_frames}, {n_backgrounds}")
        if not 0 <= percentile <= 100:
            raise ValueError(f"percentile must be in 0..100, got {percentile}")
        self._n_frames = n_frames
        self._percentile = percentile
        self._sampling = EveryKth(every_k_frames, min(MIN_SAMPLES, n_frames) if quick_start else 1)
        self._samples: ImageArray | None = None  # (N, H, W), of which the first `_n_samples` are filled
        self._n_samples = 0
        self._pictures: deque[ImageArray] = deque(maxlen=n_backgrounds)
        self._background: ImageArray | None = None

    @classmethod
    def configured(cls, config: BackgroundConfig, *, quick_start: bool) -> Self:
        """Make one that takes the median, as configured."""
        return cls(config.n_frames, config.every_k_frames, config.n_backgrounds, quick_start=quick_start)

    @classmethod
    def at_percentile(cls, config: BackgroundConfig, *, quick_start: bool) -> Self:
        """Make one that takes the configured percentile."""
        numbers = config.n_frames, config.every_k_frames, config.n_backgrounds
        return cls(*numbers, percentile=config.percentile, quick_start=quick_start)

    def update(self, luma: ImageArray) -> None:
        """Count the frame, and learn from it if it is a sample.

        Raises:
            ValueError: the frame has another size than those before.
        """
        if not self._sampling.count():
            return
        samples = self._add_sample(luma)
        if len(samples) == self._n_frames:
            self._pictures.append(self._rank_of(samples))
            self._n_samples = 0
            self._background = pixel_median(np.stack(self._pictures))
        elif not self._pictures and len(samples) >= MIN_SAMPLES:
            self._background = self._rank_of(samples)

    @property
    def background(self) -> ImageArray | None:
        """The median, or None before three samples; a new array whenever it was computed anew."""
        return self._background

    def reset(self) -> None:
        """Forget all samples and medians."""
        self._sampling.reset()
        self._n_samples = 0
        self._samples = None
        self._pictures.clear()
        self._background = None

    def _add_sample(self, luma: ImageArray) -> ImageArray:
        """Return the (n, H, W) samples so far, this one included."""
        if self._samples is None:
            self._samples = np.empty((self._n_frames, *luma.shape), np.uint8)
        if luma.shape != self._samples.shape[1:]:
            raise ValueError(f"frames must keep their size {self._samples.shape[1:]}, got {luma.shape}; reset first")
        self._samples[self._n_samples] = luma
        self._n_samples += 1
        return self._samples[: self._n_samples]

    def _rank_of(self, samples: ImageArray) -> ImageArray:
        return pixel_rank(samples, int(self._percentile * (len(samples) - 1) / 100))
