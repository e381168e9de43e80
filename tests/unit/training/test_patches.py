"""What is drawn over a picture lies where the map says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_autotuner.core.types import FloatArray
from edge_autotuner.training.patches import Patch, compose, draw_patch_in_place, pixel_warp

IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
NO_GAIN = np.ones(3, np.float32)


def white_square(to_picture: FloatArray, side: int = 10) -> Patch:
    image = np.full((side, side, 4), 255, np.uint8)
    image[[0, -1], :, 3] = image[:, [0, -1], 3] = 0
    return Patch(image, to_picture, NO_GAIN)


def extent(image: np.ndarray) -> list[int]:
    rows, columns = np.nonzero(image[..., 0] > 127)
    return [int(v) for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]


@pytest.mark.parametrize(
    ("to_picture", "to_canvas", "expected"),
    [
        pytest.param(IDENTITY, IDENTITY, [1, 1, 9, 9], id="as it is: opaque but for the border"),
        pytest.param([[1, 0, 20], [0, 1, 5]], IDENTITY, [21, 6, 29, 14], id="moved"),
        pytest.param([[2, 0, 20], [0, 2, 5]], IDENTITY, [22, 7, 38, 23], id="enlarged"),
        pytest.param([[1, 0, 20], [0, 1, 5]], [[-1, 0, 64], [0, 1, 0]], [35, 6, 43, 14], id="mirrored"),
        pytest.param([[2, 0, 20], [0, 2, 4]], [[0.5, 0, 0], [0, 0.5, 3]], [11, 6, 19, 14], id="enlarged and shrunk"),
        pytest.param([[1, 0, -4], [0, 1, 42]], IDENTITY, [0, 43, 5, 48], id="half outside"),
    ],
)
def test_a_patch_lies_where_the_maps_take_it(
    to_picture: FloatArray, to_canvas: FloatArray, expected: list[int]
) -> None:
    canvas = np.zeros((48, 64, 3), np.uint8)
    draw_patch_in_place(canvas, white_square(np.array(to_picture, np.float32)), np.array(to_canvas, np.float32))
    assert extent(canvas) == expected


def test_what_lies_outside_is_left_out() -> None:
    canvas = np.zeros((48, 64, 3), np.uint8)
    draw_patch_in_place(canvas, white_square(np.array([[1, 0, 200], [0, 1, 0]], np.float32)), IDENTITY)
    assert not canvas.any()


def test_opacity_and_gain_mix_the_colours() -> None:
    image = np.full((6, 6, 4), 100, np.uint8)
    image[..., 3] = 51  # a fifth
    canvas = np.full((6, 6, 3), 50, np.uint8)
    draw_patch_in_place(canvas, Patch(image, IDENTITY, np.array([1, 2, 4], np.float32)), IDENTITY)
    assert canvas[3, 3].tolist() == [60, 80, 91]  # a fifth of 100, 200 and 255 (not 400), four fifths of 50


def test_two_maps_after_each_other() -> None:
    inner, outer = np.array([[2, 0, 1], [0, 3, 2]], np.float32), np.array([[-1, 0, 10], [0, 1, 5]], np.float32)
    assert compose(outer, inner).tolist() == [[-2, 0, 9], [0, 3, 7]]  # (1, 1) -> (3, 5) -> (7, 10)


def test_a_warp_by_two_turns_each_pixel_into_four() -> None:
    image = np.arange(4, dtype=np.uint8).reshape(2, 2) * 50
    doubled = pixel_warp(np.array([[2, 0, 0], [0, 2, 0]], np.float32))
    assert (
        cv2.warpAffine(image, doubled, (4, 4), flags=cv2.INTER_NEAREST).tolist()
        == np.kron(image, np.ones((2, 2))).tolist()
    )
