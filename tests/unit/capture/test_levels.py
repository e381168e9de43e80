"""Pictures of more than 8 bits keep what is in them."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.levels import Levels, find_levels, is_grey


def test_a_narrow_range_is_spread() -> None:
    image = np.linspace(30000, 30255, 64 * 48).reshape(48, 64).astype(np.uint16)
    levels = find_levels([image], scale_max=65535.0)
    assert levels.is_stretched
    shown = levels.apply(image)
    assert int(shown.max()) - int(shown.min()) > 120  # about half of the greys; the rest is kept for hotter and colder
    assert np.all(np.diff(shown.ravel().astype(int)) >= 0)


def test_a_wide_range_keeps_the_scale() -> None:
    image = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
    levels = find_levels([image], scale_max=65535.0)
    assert levels == Levels(0.0, 65535.0)
    assert levels.apply(np.array([[0, 257, 65535]], np.uint16)).tolist() == [[0, 1, 255]]


def test_the_range_is_that_of_all_pictures() -> None:
    cold, hot = np.full((8, 8), 1000, np.uint16), np.full((8, 8), 3000, np.uint16)
    levels = find_levels([cold, hot], scale_max=65535.0)
    assert (levels.low, levels.high) == (0.0, 4000.0)


def test_a_flat_picture_is_not_blown_up() -> None:
    levels = find_levels([np.full((8, 8), 500, np.uint16)], scale_max=65535.0)
    assert levels.high - levels.low == 128
    assert levels.apply(np.array([[501]], np.uint16)) - levels.apply(np.array([[500]], np.uint16)) <= 2


def test_floating_point_with_holes() -> None:
    image = np.array([[20.0, 30.0], [np.nan, np.inf]], np.float32)
    levels = find_levels([image], scale_max=None)
    shown = levels.apply(image)
    assert shown.dtype == np.uint8
    assert 0 < shown[0, 0] < shown[0, 1] < 255
    assert shown[1, 1] == 255


def test_no_picture_with_numbers() -> None:
    assert find_levels([np.full((2, 2), np.nan, np.float32)], scale_max=None) == Levels(0.0, 1.0)
    assert find_levels([], scale_max=65535.0) == Levels(0.0, 65535.0)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.zeros((2, 2), np.uint16), True),
        (np.full((2, 2, 3), 7, np.uint16), True),
        (np.arange(12, dtype=np.uint16).reshape(2, 2, 3), False),
    ],
    ids=["one channel", "three equal", "colours"],
)
def test_is_grey(image: np.ndarray, expected: bool) -> None:
    assert is_grey(image) is expected
