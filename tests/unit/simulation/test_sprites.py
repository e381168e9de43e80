"""The drawn cars and people."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.simulation.sprites import Outfit, Sprite, draw_car, draw_person


def _car(seed: int = 0) -> Sprite:
    return draw_car(100, 40, np.random.default_rng(seed))


def _person(phase: float) -> Sprite:
    rng = np.random.default_rng(0)
    return draw_person(30, 60, Outfit.random(rng), phase, rng)


@pytest.mark.parametrize(("sprite", "size_wh"), [(_car(), (100, 40)), (_person(0.2), (30, 60))], ids=["car", "person"])
def test_fills_its_picture(sprite: Sprite, size_wh: tuple[int, int]) -> None:
    assert sprite.image_bgr.shape == (size_wh[1], size_wh[0], 3)
    ys, xs = np.nonzero(sprite.alpha >= 128)
    assert ys.min() <= 3
    assert ys.max() >= size_wh[1] - 3
    assert xs.max() - xs.min() >= 0.4 * size_wh[0]
    assert 0.2 < (sprite.alpha >= 128).mean() < 0.9


def test_colours_differ_between_seeds() -> None:
    assert len({_car(seed).image_bgr.tobytes() for seed in range(5)}) == 5


def test_walking_moves_the_legs_only_a_little_of_the_head() -> None:
    a, b = _person(0.25), _person(0.5)
    changed = a.alpha != b.alpha
    assert changed[30:].mean() > 3 * changed[:10].mean()


def test_mirrored_twice_is_the_same() -> None:
    car = _car()
    np.testing.assert_array_equal(car.mirrored().mirrored().image_bgr, car.image_bgr)
    np.testing.assert_array_equal(car.mirrored().alpha, car.alpha[:, ::-1])
