"""The fast median and percentile backgrounds against slow ones, and against numpy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from edge_autotuner.capture.background import MedianBackground, pixel_median
from edge_autotuner.core.types import ImageArray


def _slow_percentile(pictures: list[ImageArray], percentile: float) -> ImageArray:
    """Return numpy's percentile; between two values, the lower one."""
    return np.percentile(np.stack(pictures), percentile, axis=0, method="lower").astype(np.uint8)


def _slow_background(frames: list[ImageArray], n: int, m: int, k: int, percentile: float = 50) -> ImageArray | None:
    """Compute the background after all frames from its definition."""
    samples = frames[::k]
    pictures = [_slow_percentile(samples[start : start + n], percentile) for start in range(0, len(samples) - n + 1, n)]
    if pictures:
        return _slow_percentile(pictures[-m:], 50)
    return _slow_percentile(samples, percentile) if len(samples) >= 3 else None


@pytest.mark.parametrize("n", [*range(1, 35), 63, 64, 255])
def test_pixel_median_equals_numpy(n: int) -> None:
    stack = np.random.default_rng(n).integers(0, 256, (n, 6, 11)).astype(np.uint8)
    expected = np.median(stack, axis=0) if n % 2 else np.sort(stack, axis=0)[n // 2 - 1]
    np.testing.assert_array_equal(pixel_median(stack), expected)


@pytest.mark.parametrize(("n", "m", "k"), list(product([1, 2, 3, 4, 7], [1, 2, 3, 4], [1, 2, 5])))
def test_median_equals_its_definition_after_every_frame(n: int, m: int, k: int) -> None:
    _require_definition(n, m, k, 50)


@pytest.mark.parametrize("percentile", [0, 10, 29, 40, 66.6, 100])
@pytest.mark.parametrize(("n", "m", "k"), [(1, 3, 1), (4, 2, 2), (11, 3, 1), (15, 1, 2)])
def test_percentile_equals_its_definition_after_every_frame(n: int, m: int, k: int, percentile: float) -> None:
    _require_definition(n, m, k, percentile)


def _require_definition(n: int, m: int, k: int, percentile: float) -> None:
    rng = np.random.default_rng(n * 100 + m * 10 + k)
    frames = [rng.integers(0, 256, (3, 5)).astype(np.uint8) for _ in range(n * m * k + n * k + 3)]
    model = MedianBackground(n, k, m, percentile=percentile)
    for count in range(1, len(frames) + 1):
        model.update(frames[count - 1])
        expected = _slow_background(frames[:count], n, m, k, percentile)
        if expected is None:
            assert model.background is None
        else:
            assert model.background is not None
            np.testing.assert_array_equal(model.background, expected)
