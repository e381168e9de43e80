"""Pictures land where the network expects them, and boxes come back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_autotuner.core import COCO_80
from edge_autotuner.models import DetectorSpec, Placement, prepare_input

STRETCH = DetectorSpec("s", COCO_80, (4, 2), "stretch", "bgr", "deim")
LETTERBOX = replace(STRETCH, resize="letterbox", input_size_wh=(416, 416))
CORNERS = np.array([[0, 0, 768, 576]], np.float32)


def flat(width: int, height: int, colour: tuple[int, int, int] = (10, 20, 30)) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def test_stretch_fills_the_input_in_bgr_planes() -> None:
    pixels, placement = prepare_input(flat(8, 8), STRETCH)
    assert pixels.shape == (1, 3, 2, 4)
    assert pixels.dtype == np.float32
    assert pixels[0, :, 0, 0].tolist() == [10, 20, 30]
    assert placement == Placement((8, 8), (4, 2))


def test_rgb_swaps_the_planes_and_normalisation_follows_their_order() -> None:
    spec = replace(STRETCH, colour="rgb", scale=0.1, mean=(1.0, 0.0, 0.0), std=(2.0, 1.0, 4.0))
    pixels, _ = prepare_input(flat(8, 8), spec)
    assert pixels[0, :, 1, 2] == pytest.approx([(3 - 1) / 2, 2.0, 1 / 4])  # R, G, B of (10, 20, 30)


def test_letterbox_keeps_the_ratio_at_the_top_left_and_pads_with_114() -> None:
    pixels, placement = prepare_input(flat(768, 576), LETTERBOX)
    assert placement.resized_size_wh == (416, 312)
    assert (pixels[0, 0, :312] == 10).all()
    assert (pixels[0, :, 312:] == 114).all()


@pytest.mark.parametrize(
    ("frame_size_wh", "resized_size_wh"),
    [
        pytest.param((416, 416), (416, 416), id="same"),
        pytest.param((1920, 1080), (416, 234), id="full-hd"),
        pytest.param((1000, 333), (416, 138), id="rounded-down"),  # 333 * 0.416 = 138.5
        pytest.param((100, 200), (208, 416), id="upright-enlarged"),
        pytest.param((5000, 1), (416, 1), id="never-zero"),
        pytest.param((1, 1), (416, 416), id="one-pixel"),
    ],
)
def test_letterbox_sizes(frame_size_wh: tuple[int, int], resized_size_wh: tuple[int, int]) -> None:
    pixels, placement = prepare_input(flat(*frame_size_wh), LETTERBOX)
    assert placement.resized_size_wh == resized_size_wh
    assert pixels.shape == (1, 3, 416, 416)


def test_boxes_go_to_the_input_and_back() -> None:
    _, placement = prepare_input(flat(768, 576), LETTERBOX)
    in_input = CORNERS * placement.scale_xyxy
    assert in_input.tolist() == [[0, 0, 416, 312]]
    assert placement.to_frame(in_input) == pytest.approx(CORNERS)
    assert placement.to_frame(np.zeros((0, 4), np.float32)).shape == (0, 4)


def test_the_picture_is_not_changed_and_may_be_a_view() -> None:
    image = np.random.default_rng(0).integers(0, 256, (10, 20, 3), np.uint8)
    view, copy = image[::2, ::-1], image.copy()
    prepare_input(view, replace(LETTERBOX, input_size_wh=(20, 5)))
    assert np.array_equal(image, copy)


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(np.zeros((4, 4), np.uint8), id="grey"),
        pytest.param(np.zeros((4, 4, 4), np.uint8), id="alpha"),
        pytest.param(np.zeros((0, 4, 3), np.uint8), id="empty"),
        pytest.param(np.zeros((4, 4, 3), np.float32), id="float"),
    ],
)
def test_other_arrays_are_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="image_bgr must"):
        prepare_input(image, STRETCH)
