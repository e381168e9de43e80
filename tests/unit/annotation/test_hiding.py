"""What is hidden cannot be recognized, and what is not hidden keeps every pixel."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.annotation.privacy import (
    CELLS_PER_FRAME,
    CELLS_PER_OBJECT,
    hide_boxes_inplace_,
    hide_outside,
    mean_colours,
    widened,
)
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.types import ImageArray


def noise(width: int, height: int, seed: int = 1) -> ImageArray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size_wh", [(1, 1), (3, 2), (40, 7), (7, 40), (300, 200)])
def test_an_area_of_any_size_keeps_its_size(size_wh: tuple[int, int]) -> None:
    area = noise(*size_wh)
    assert mean_colours(area, CELLS_PER_OBJECT).shape == area.shape


def test_of_a_large_object_only_a_few_means_are_left() -> None:
    area = noise(300, 200)
    assert mean_colours(area, CELLS_PER_OBJECT).std() < area.std() / 20


def test_areas_with_the_same_means_cannot_be_told_apart() -> None:
    stripes = np.zeros((80, 80, 3), np.uint8)
    stripes[:, ::2] = 200
    flat = np.full((80, 80, 3), 100, np.uint8)
    assert np.abs(mean_colours(stripes, CELLS_PER_OBJECT).astype(int) - mean_colours(flat, CELLS_PER_OBJECT)).max() <= 1


def test_boxes_are_hidden_and_nothing_else() -> None:
    image = noise(100, 80)
    before = image.copy()
    hide_boxes_inplace_(image, as_boxes([[10.6, 20.2, 29.1, 59.9], [90, 70, 130, 95]]))
    is_hidden = np.zeros((80, 100), bool)
    is_hidden[20:60, 10:30] = is_hidden[70:80, 90:100] = True
    assert (image[~is_hidden] == before[~is_hidden]).all()
    assert image[20:60, 10:30].std() < before[20:60, 10:30].std() / 3


def test_no_boxes_hide_nothing() -> None:
    image = noise(20, 10)
    before = image.copy()
    hide_boxes_inplace_(image, as_boxes([]))
    hide_boxes_inplace_(image, as_boxes([[30, 30, 40, 40]]))
    assert (image == before).all()


def test_outside_is_blurred_and_inside_keeps_its_pixels() -> None:
    image = noise(480, 320)
    seen = hide_outside(image, as_boxes([[40, 50, 140, 150], [300, 200, 480, 320]]), None)
    assert (seen[50:150, 40:140] == image[50:150, 40:140]).all()
    assert (seen[200:, 300:] == image[200:, 300:]).all()
    assert seen[160:190].std() < image.std() / 4, f"means of cells of {480 // CELLS_PER_FRAME} pixels"


def test_without_an_area_everything_is_blurred() -> None:
    assert hide_outside(noise(240, 160), as_boxes([]), None).std() < 15


def test_outside_shows_the_brightness_of_the_background() -> None:
    image, background = noise(96, 64), np.full((32, 48), 90, np.uint8)
    background[:, 24:] = 180
    seen = hide_outside(image, as_boxes([[0, 0, 10, 10]]), background)
    assert (seen[:10, :10] == image[:10, :10]).all()
    luma = seen.astype(float) @ [0.114, 0.587, 0.299]
    assert luma[20:, 2:40] == pytest.approx(90, abs=3)
    assert luma[20:, 56:94] == pytest.approx(180, abs=3)


def test_boxes_grow_by_a_share_of_their_size() -> None:
    assert widened(as_boxes([[10, 20, 30, 60]]), 0.1).tolist() == [[8, 16, 32, 64]]
    assert widened(as_boxes([]), 0.1).shape == (0, 4)
