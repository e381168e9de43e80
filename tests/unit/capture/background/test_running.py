"""The running median on frames of one brightness each."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.background import RunningBackground


def _feed(model: RunningBackground, *levels: int) -> list[int | None]:
    """Show frames of one brightness each; return the background's brightness after each."""
    seen: list[int | None] = []
    for level in levels:
        model.update(np.full((2, 3), level, np.uint8))
        seen.append(None if model.background is None else int(model.background[0, 0]))
    return seen


def test_starts_with_the_median_of_the_first_samples() -> None:
    assert _feed(RunningBackground(5, 1), 10, 90, 20, 30, 30) == [None, None, 20, 20, 30]


def test_then_moves_one_level_towards_each_frame() -> None:
    assert _feed(RunningBackground(1, 1), 50, 200, 200, 0, 51, 50, 50) == [50, 51, 52, 51, 51, 50, 50]


def test_moves_every_k_frames_only() -> None:
    assert _feed(RunningBackground(1, 3), 50, 0, 0, 60, 0, 0, 60) == [50, 50, 50, 51, 51, 51, 52]


def test_stays_within_the_range_of_a_byte() -> None:
    assert _feed(RunningBackground(1, 1), 255, 255, 254, 255, 255)[-1] == 255
    assert _feed(RunningBackground(1, 1), 0, 0, 1, 0, 0)[-1] == 0


def test_pixels_move_on_their_own() -> None:
    model = RunningBackground(1, 1)
    model.update(np.array([[10, 10, 10]], np.uint8))
    model.update(np.array([[0, 10, 99]], np.uint8))
    assert model.background is not None
    assert model.background.tolist() == [[9, 10, 11]]


def test_an_unchanged_background_is_the_same_array_and_a_changed_one_is_not() -> None:
    model = RunningBackground(1, 1)
    _feed(model, 50)
    first = model.background
    assert first is not None
    _feed(model, 50, 50)
    assert model.background is first
    _feed(model, 60)
    assert model.background is not first
    assert first[0, 0] == 50


def test_quick_start_takes_the_first_three_frames_without_gaps() -> None:
    assert _feed(RunningBackground(3, 4, quick_start=True), 10, 30, 20, 99, 60, 99)[2:] == [20, 20, 21, 21]


@pytest.mark.parametrize("n_start_frames", [1, 9])
def test_frames_of_another_size(n_start_frames: int) -> None:
    model = RunningBackground(n_start_frames, 1)
    _feed(model, 10, 10, 10)
    with pytest.raises(ValueError, match="keep their size"):
        model.update(np.zeros((4, 6), np.uint8))


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0)])
def test_numbers_below_one(numbers: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        RunningBackground(*numbers)
