"""A film is told from pictures that merely lie side by side."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.annotation.tracks import continuity, is_film
from edge_autotuner.core import Detections

N_FRAMES = 60


def drive(*, n_parked: int = 0) -> list[Detections]:
    """Return frames in which four cars drive over 1200 px, one starting every 2.5 s, and parked ones stand."""
    frames = []
    for index in range(N_FRAMES):
        moving = [(12 * index + 300 * k, 100, 12 * index + 300 * k + 60, 140) for k in range(-2, 4)]
        parked = [(100 * k, 300, 100 * k + 60, 340) for k in range(n_parked)]
        boxes = np.array([*moving, *parked], np.float32)
        frames.append(Detections(boxes, np.full(len(boxes), 0.9), np.zeros(len(boxes), np.int64)))
    return frames


def at_rate(rate_hz: float) -> list[float]:
    return [index / rate_hz for index in range(N_FRAMES)]


def test_a_film_in_order_is_one() -> None:
    assert is_film(at_rate(10), drive())


@pytest.mark.parametrize("n_parked", [0, 6])
def test_shuffled_pictures_are_none_whatever_their_time_stamps_say(n_parked: int) -> None:
    frames = drive(n_parked=n_parked)
    order = np.random.default_rng(0).permutation(N_FRAMES)
    assert is_film(at_rate(10), frames)
    assert not is_film(at_rate(10), [frames[i] for i in order])


def test_frames_seconds_apart_are_none() -> None:
    assert not is_film(at_rate(1), drive())


def test_a_burst_of_close_frames_is_enough() -> None:
    times = [index / 10 if index < 30 else index * 10.0 for index in range(N_FRAMES)]
    assert is_film(times, drive())


@pytest.mark.parametrize("n", [0, 1, 2, N_FRAMES])
def test_empty_frames_are_none(n: int) -> None:
    assert not is_film(at_rate(10)[:n], [Detections.empty()] * n)


def test_slow_objects_in_a_short_film() -> None:
    """After half of it they have hardly moved: what counts is what has."""
    boxes = [np.array([[10 + i, 20, 20 + i, 40]], np.float32) for i in range(12)]
    frames = [Detections(box, np.array([0.9]), np.array([0])) for box in boxes]
    assert continuity(at_rate(10)[:12], frames) == 1.0


def test_where_all_stands_still_boxes_may_be_followed() -> None:
    still = [drive(n_parked=4)[0]] * N_FRAMES
    assert is_film(at_rate(10), still)
