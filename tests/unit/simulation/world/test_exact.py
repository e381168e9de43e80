"""Random numbers and angles that are the same everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_autotuner.simulation.world.exact import (
    Draws,
    bell_noise,
    cosine,
    dimmed,
    halved,
    hashed,
    mean_of_two,
    sine,
    toned,
    turns_of,
    turns_of_many,
)


@pytest.mark.parametrize("turns", [-2.6, -0.5, -0.2, 0.0, 0.1, 0.25, 0.4, 0.75, 1.0, 7.3])
def test_angles_are_those_of_the_library(turns: float) -> None:
    assert sine(turns) == pytest.approx(math.sin(2 * math.pi * turns), abs=3e-6)
    assert cosine(turns) == pytest.approx(math.cos(2 * math.pi * turns), abs=3e-6)
    expected = math.atan2(sine(turns), cosine(turns)) / (2 * math.pi)
    difference = turns_of(sine(turns), cosine(turns)) - expected
    assert difference - round(difference) == pytest.approx(0, abs=1e-5)


def test_many_angles_are_bit_for_bit_those_of_one() -> None:
    xs = np.array([3.0, -0.1, 0.0, 0.0, -7.0, 1e-9, 2.5])
    ys = np.array([0.5, -2.0, 0.0, 4.0, 0.0, -1e-9, 2.5])
    assert turns_of_many(ys, xs).tolist() == [turns_of(y, x) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]


def test_light_is_multiplied_as_whole_numbers() -> None:
    values, gains = np.arange(256, dtype=np.uint8), np.arange(129, dtype=np.uint8)
    made = dimmed(np.repeat(values[:, None], 129, 1), np.repeat(gains[None], 256, 0))
    assert np.array_equal(made, values[:, None].astype(int) * gains // 128)
    image = np.repeat(values.reshape(16, 16, 1), 3, axis=2)
    assert np.array_equal(toned(image, (64, 128, 300))[..., 2], np.minimum(255, image[..., 2].astype(int) * 300 // 128))
    assert np.array_equal(mean_of_two(image, 255 - image), np.full_like(image, 127))
    quads = np.array([[1, 2, 9, 9], [3, 4, 9, 8]], np.uint8)[..., None]
    assert halved(np.repeat(quads, 3, axis=2))[0, :, 0].tolist() == [3, 9]  # 2.5 and 8.75, halves up


def test_hashes_are_known_numbers() -> None:
    assert [hashed(), hashed(0), hashed(1, 2)] == [11400714819323198485, 15590649930234121703, 5640054598490828357]


def test_draws_are_spread_evenly_and_follow_their_shares() -> None:
    draws = Draws(3)
    numbers = [draws.unit() for _ in range(4000)]
    assert 0 <= min(numbers) < 0.01
    assert 0.99 < max(numbers) < 1
    assert np.mean(numbers) == pytest.approx(0.5, abs=0.02)
    chosen = [Draws(4, n).weighted({"car": 0.9, "bus": 0.0, "van": 0.3}) for n in range(2000)]
    assert chosen.count("bus") == 0
    assert chosen.count("van") / 2000 == pytest.approx(0.25, abs=0.03)


def test_noise_has_the_deviation_that_was_asked_for() -> None:
    noise = bell_noise((200, 200), 4.0, 1)
    assert noise.mean() == pytest.approx(0, abs=0.1)
    assert noise.std() == pytest.approx(4.0, rel=0.03)
