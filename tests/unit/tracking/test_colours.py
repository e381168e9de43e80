"""Which colours an object shows."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.tracking.colours import N_VALUES, colours_of

RED, BLUE = (20, 20, 200), (200, 20, 20)


def picture() -> np.ndarray:
    image = np.full((200, 300, 3), 120, np.uint8)
    image[50:150, 20:60] = RED
    image[50:150, 120:160] = BLUE
    image[50:150, 220:260] = RED
    return image


def test_equal_colours_are_alike_and_others_are_not() -> None:
    boxes = np.array([[20, 50, 60, 150], [120, 50, 160, 150], [220, 50, 260, 150]], np.float32)
    red, blue, also_red = colours_of(picture(), boxes)
    assert red @ also_red == pytest.approx(1, abs=1e-5)
    assert red @ blue == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    "box",
    [
        pytest.param((-500, -500, -400, -400), id="outside"),
        pytest.param((1e6, 1e6, 1e6 + 5, 1e6 + 5), id="far outside"),
        pytest.param((299.5, 199.5, 299.9, 199.9), id="below a pixel"),
        pytest.param((50, 50, 50, 50), id="empty"),
        pytest.param((60, 60, 20, 20), id="turned around"),
    ],
)
def test_any_box_has_a_finite_description(box: tuple[float, ...]) -> None:
    row = colours_of(picture(), np.array([box], np.float32))
    assert row.shape == (1, N_VALUES)
    assert np.isfinite(row).all()
    assert 0 <= row[0] @ row[0] <= 1 + 1e-5


def test_no_boxes() -> None:
    assert colours_of(picture(), np.zeros((0, 4), np.float32)).shape == (0, N_VALUES)
