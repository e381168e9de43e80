"""The fast median background against the slow one, and against numpy's median."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from edge_autotuner.capture.background import MedianBackground, pixel_median
from edge_autotuner.core.types import ImageArray


def _slow_median(pictures: list[ImageArray]) -> ImageArray:
    if len(pictures) % 2:
        return np.median(np.stack(pictures), axis=0).astype(np.uint8)
    return np.sort(np.stack(pictures), axis=0)[len(pictures) // 2 - 1]


def _slow_background(frames: list[ImageArray], n: int, m: int, k: int) -> ImageArray | None:
    """Compute the background after all frames from its definition."""
    samples = frames[::k]
    medians = [_slow_median(samples[start : start + n]) for start in range(0, len(samples) - n + 1, n)]
    if medians:
        return _slow_median(medians[-m:])
    return _slow_median(samples) if len(samples) >= 3 else None


@pytest.mark.parametrize("n", [*range(1, 35), 63, 64, 255])
def test_pixel_median_equals_numpy(n: int) -> None:
    stack = np.random.default_rng(n).integers(0, 256, (n, 6, 11)).astype(np.uint8)
    np.testing.assert_array_equal(pixel_median(stack), _slow_median(list(stack)))


@pytest.mark.parametrize(("n", "m", "k"), list(product([1, 2, 3, 4, 7], [1, 2, 3, 4], [1, 2, 5])))
def test_background_equals_its_definition_after_every_frame(n: int, m: int, k: int) -> None:
    rng = np.random.default_rng(n * 100 + m * 10 + k)
    frames = [rng.integers(0, 256, (3, 5)).astype(np.uint8) for _ in range(n * m * k + n * k + 3)]
    model = MedianBackground(n, k, m)
    for count in range(1, len(frames) + 1):
        model.update(frames[count - 1])
        expected = _slow_background(frames[:count], n, m, k)
        if expected is None:
            assert model.background is None
        else:
            assert model.background is not None
            np.testing.assert_array_equal(model.background, expected)
