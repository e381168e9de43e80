"""Cells, structure and shift of pictures whose content is known."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.background.scene_view import (
    SceneView,
    changed_fraction,
    find_shift,
    mean_difference,
    structure_match,
)
from support.cameras.scene_changes import Picture, Street

STREET = Street()


def view(picture: Picture) -> SceneView:
    return SceneView(np.rint(np.clip(picture, 0, 255)).astype(np.uint8))


@pytest.mark.parametrize(
    ("size_wh", "cells_wh", "cell_px"),
    [
        ((480, 270), (120, 67), 4),
        ((480, 360), (120, 90), 4),
        ((320, 240), (80, 60), 4),
        ((1920, 1080), (120, 67), 16),
        ((159, 90), (159, 90), 1),
        ((400, 20), (400, 20), 1),
        ((5, 3), (5, 3), 1),
    ],
)
def test_size_of_cells(size_wh: tuple[int, int], cells_wh: tuple[int, int], cell_px: int) -> None:
    luma = np.random.default_rng(0).integers(0, 256, (size_wh[1], size_wh[0])).astype(np.uint8)
    seen = SceneView(luma)
    assert (seen.cells.shape[::-1], seen.cell_px) == (cells_wh, cell_px)
    assert find_shift(seen, seen).n_cells == pytest.approx(0, abs=1e-3)


def test_cells_are_means() -> None:
    luma = np.arange(180 * 320).reshape(180, 320) % 200
    means = luma.reshape(45, 4, 80, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(SceneView(luma.astype(np.uint8)).cells, means, atol=1.01)  # rounded twice


@pytest.mark.parametrize("width", [100, 320])
def test_the_picture_is_not_kept(width: int) -> None:
    luma = np.full((180, width), 70, np.uint8)
    seen = SceneView(luma)
    luma[:] = 0
    assert (seen.cells == 70).all()


def test_share_of_changed_cells_and_mean_difference() -> None:
    a = np.zeros((10, 10), np.uint8)
    b = a.copy()
    b[0], b[1] = 20, 21
    assert changed_fraction(SceneView(a), SceneView(b), 20) == 0.1
    assert changed_fraction(SceneView(b), SceneView(a), 19) == 0.2
    assert mean_difference(SceneView(a), SceneView(b)) == 4.1


@pytest.mark.parametrize("gain", [0.4, 0.7, 1.2])
def test_structure_does_not_depend_on_brightness_and_contrast(gain: float) -> None:
    assert structure_match(view(STREET.seen()), view(gain * STREET.seen() + 10)) > 0.95


def test_structure_of_a_negative_is_opposite() -> None:
    assert structure_match(view(STREET.seen()), view(220 - STREET.seen())) < -0.95


def test_structure_of_nothing() -> None:
    blank = view(np.full((180, 320), 90, np.float32))
    assert blank.structure_energy < 1e-3
    assert structure_match(blank, view(STREET.seen())) == pytest.approx(0, abs=1e-3)
    assert 0.3 < view(STREET.seen()).structure_energy < 1


@pytest.mark.parametrize(("right_px", "down_px"), [(0, 0), (10, 0), (-10, 0), (0, 10), (6, -7), (-40, 25), (48, 30)])
def test_shift_is_found_to_a_pixel_or_two(right_px: int, down_px: int) -> None:
    shift = find_shift(view(STREET.seen()), view(STREET.seen(right_px=right_px, down_px=down_px)))
    assert (shift.x_px, shift.y_px) == (pytest.approx(right_px, abs=1.5), pytest.approx(down_px, abs=1.5))
    assert shift.n_cells == pytest.approx(np.hypot(right_px, down_px) / 4, abs=0.5)
    assert shift.match > 0.6
    assert (shift.gain > 0.2) == ((right_px, down_px) != (0, 0))
