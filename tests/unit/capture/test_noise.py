"""How much each place flickers: leaves raise the estimate, cars and light do not."""

from __future__ import annotations

import numpy as np

from edge_autotuner.capture.noise import NoiseEstimate
from edge_autotuner.core.types import ImageArray

SIZE_WH = (120, 96)  # 10 x 8 cells
BACKGROUND = np.full((96, 120), 100, np.uint8)


def _after(pictures: list[ImageArray], *, gap_s: float = 0.2) -> NoiseEstimate:
    noise = NoiseEstimate(SIZE_WH)
    for index, picture in enumerate(pictures):
        if noise.is_due(index * gap_s):
            noise.learn(picture, BACKGROUND, index * gap_s)
    return noise


def _leaves(n: int) -> list[ImageArray]:
    """Return pictures whose upper left quarter flickers pixel by pixel."""
    rng = np.random.default_rng(0)
    pictures = [BACKGROUND.copy() for _ in range(n)]
    for picture in pictures:
        picture[:48, :60] = rng.integers(60, 141, (48, 60))
    return pictures


def test_leaves_raise_the_estimate_of_their_place_only() -> None:
    levels = _after(_leaves(200)).levels
    assert levels.shape == (8, 10)
    assert (levels[:4, :5] > 3).all()
    assert (levels[4:] == 0).all()
    assert (levels[:, 5:] == 0).all()


def test_limits_cover_the_neighbouring_cells_and_grow_with_the_factor() -> None:
    noise = _after(_leaves(200))
    limits = noise.limits(2.0)
    assert limits.shape == (96, 120)
    assert limits.dtype == np.uint8
    assert limits[:48, :60].min() >= 4
    assert limits[80:, 100:].max() == 0
    assert (noise.limits(4.0) >= limits).all()
    assert noise.limits(1000.0).max() == 255


def test_cars_that_pass_do_not_raise_it() -> None:
    pictures = []
    for index in range(200):
        picture = BACKGROUND.copy()
        left = index * 13 % 240 - 60  # on the road half of the time
        picture[30:60, max(0, left) : max(0, left + 40)] = 30
        pictures.append(picture)
    assert _after(pictures).levels.max() < 0.5


def test_an_object_that_stands_does_not_raise_it() -> None:
    picture = BACKGROUND.copy()
    picture[20:70, 30:80] = np.random.default_rng(1).integers(0, 256, (50, 50))
    assert _after([picture] * 100).levels.max() == 0


def test_light_does_not_raise_it() -> None:
    pictures = [np.full_like(BACKGROUND, 100 + 30 * (index % 2)) for index in range(100)]
    assert _after(pictures).levels.max() == 0


def test_it_falls_faster_than_it_rises() -> None:
    noise = _after(_leaves(100))
    before = noise.levels.max()
    for index in range(100, 112):
        noise.learn(BACKGROUND, BACKGROUND, index * 0.2)
    assert noise.levels.max() < before / 2


def test_pictures_that_are_far_apart_teach_nothing() -> None:
    assert _after(_leaves(100), gap_s=1.0).levels.max() == 0


def test_five_times_a_second() -> None:
    noise = NoiseEstimate(SIZE_WH)
    due = []
    for index in range(25):
        due.append(noise.is_due(index / 25))
        if due[-1]:
            noise.learn(BACKGROUND, BACKGROUND, index / 25)
    assert [index for index, is_due in enumerate(due) if is_due] == [0, 5, 10, 15, 20]
    assert noise.is_due(0.1)  # the clock was set back


def test_pictures_smaller_than_a_cell() -> None:
    noise = NoiseEstimate((5, 3))
    picture = np.full((3, 5), 9, np.uint8)
    for index in range(3):
        noise.learn(picture, picture, index * 0.2)
    assert noise.limits(30.0).shape == (3, 5)
