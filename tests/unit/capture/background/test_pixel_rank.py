"""Median and other ranks of a stack of pictures on hand-made values."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.background import pixel_median, pixel_rank


def _column(*values: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.array(values, np.uint8).reshape(-1, 1, 1)


@pytest.mark.parametrize(
    ("values", "median"),
    [((7,), 7), ((9, 3), 3), ((9, 3, 5), 5), ((1, 2, 3, 4), 2), ((255, 0, 255, 0, 255), 255), ((4, 4, 4, 4), 4)],
)
def test_known_values(values: tuple[int, ...], median: int) -> None:
    assert pixel_median(_column(*values)).tolist() == [[median]]


@pytest.mark.parametrize(("rank", "value"), [(0, 1), (1, 3), (2, 3), (3, 8), (4, 200)])
def test_every_rank(rank: int, value: int) -> None:
    assert pixel_rank(_column(3, 200, 1, 8, 3), rank).tolist() == [[value]]


@pytest.mark.parametrize("rank", [-1, 3])
def test_no_such_rank(rank: int) -> None:
    with pytest.raises(ValueError, match=r"rank must be in 0\.\.2"):
        pixel_rank(_column(1, 2, 3), rank)


def test_input_is_unchanged() -> None:
    stack = np.random.default_rng(0).integers(0, 256, (9, 5, 7)).astype(np.uint8)
    before = stack.copy()
    pixel_median(stack)
    np.testing.assert_array_equal(stack, before)


def test_picture_larger_than_one_strip() -> None:
    stack = np.random.default_rng(0).integers(0, 256, (5, 301, 500)).astype(np.uint8)
    np.testing.assert_array_equal(pixel_median(stack), np.sort(stack, axis=0)[2])


@pytest.mark.parametrize(
    "stack", [np.zeros((0, 4, 4), np.uint8), np.zeros((4, 4), np.uint8), np.zeros((3, 4, 4), np.float32)]
)
def test_wrong_stack(stack: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    with pytest.raises(ValueError, match="stack must be"):
        pixel_median(stack)
