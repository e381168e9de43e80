"""Frames at working size."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.motion import shrink


@pytest.mark.parametrize(
    ("size_wh", "small_wh"),
    [
        pytest.param((480, 270), (480, 270), id="fits"),
        pytest.param((320, 240), (320, 240), id="smaller"),
        pytest.param((481, 271), (480, 270), id="one too many"),
        pytest.param((960, 540), (480, 270), id="half"),
        pytest.param((1920, 1080), (480, 270), id="quarter"),
        pytest.param((768, 576), (480, 360), id="no whole ratio"),
        pytest.param((5000, 3), (480, 1), id="thin"),
    ],
)
def test_sizes(size_wh: tuple[int, int], small_wh: tuple[int, int]) -> None:
    luma = np.full(size_wh[::-1], 77, np.uint8)
    small = shrink(luma, 480)
    assert small.shape == small_wh[::-1]
    assert (small == 77).all()
    assert (small is luma) == (size_wh == small_wh)


def test_halving_is_the_mean_of_two_by_two_pixels() -> None:
    luma = np.random.default_rng(0).integers(0, 256, (40, 64), np.uint8)
    means = luma.reshape(20, 2, 32, 2).mean(axis=(1, 3))
    assert np.abs(shrink(luma, 32) - means).max() <= 0.5


def test_a_quarter_is_a_mean_of_neighbours_in_one_of_four_rows() -> None:
    luma = np.random.default_rng(0).integers(0, 256, (40, 64), np.uint8)
    means = luma[1::4].reshape(10, 16, 4) @ np.array([0.114, 0.587, 0.299, 0])
    assert np.abs(shrink(luma, 16) - means).max() <= 1


def test_a_large_picture_is_halved_first() -> None:
    luma = np.random.default_rng(0).integers(0, 256, (80, 128), np.uint8)
    np.testing.assert_array_equal(shrink(luma, 16), shrink(shrink(luma, 64), 16))


def test_a_view_with_padded_rows_and_no_right_to_write() -> None:
    padded = np.random.default_rng(0).integers(0, 256, (40, 96), np.uint8)
    view = padded[:, :64]
    view.flags.writeable = False
    for width in (32, 16):
        np.testing.assert_array_equal(shrink(view, width), shrink(np.ascontiguousarray(view), width))
