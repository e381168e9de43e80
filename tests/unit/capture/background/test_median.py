"""The median background on frames of one brightness each."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.background import MedianBackground


def _feed(model: MedianBackground, *levels: int) -> list[int | None]:
    """Show frames of one brightness each; return the background's brightness after each."""
    seen: list[int | None] = []
    for level in levels:
        model.update(np.full((2, 3), level, np.uint8))
        seen.append(None if model.background is None else int(model.background[0, 0]))
    return seen


def test_known_from_three_samples_on() -> None:
    assert _feed(MedianBackground(5, 1, 3), 10, 30, 20, 40) == [None, None, 20, 20]


def test_samples_every_k_frames() -> None:
    assert _feed(MedianBackground(5, 2, 1), 10, 99, 30, 99, 20, 99) == [None, None, None, None, 20, 20]


def test_one_frame_is_enough_when_n_is_one() -> None:
    assert _feed(MedianBackground(1, 1, 1), 10, 30, 20) == [10, 30, 20]


def test_moving_median_of_the_last_m() -> None:
    assert _feed(MedianBackground(1, 1, 3), 10, 30, 20, 90, 90) == [10, 10, 20, 30, 90]


def test_medians_share_no_frames() -> None:
    assert _feed(MedianBackground(3, 1, 1), 1, 2, 3, 7, 8, 9) == [None, None, 2, 2, 2, 8]


def test_percentile_takes_another_rank_of_the_frames_but_the_median_of_the_pictures() -> None:
    model = MedianBackground(3, 1, 3, percentile=0)
    assert _feed(model, 30, 10, 20, 60, 50, 40, 90, 80, 70)[-1] == 40


def test_quick_start_takes_the_first_three_frames_without_gaps() -> None:
    assert _feed(MedianBackground(5, 4, 1, quick_start=True), 10, 30, 20, 99, 40, 99, 99, 99, 50) == [
        None, None, 20, 20, 20, 20, 20, 20, 30,
    ]  # fmt: skip


def test_quick_start_with_fewer_than_three_frames_in_a_median() -> None:
    assert _feed(MedianBackground(2, 3, 1, quick_start=True), 10, 30, 99, 50, 99, 99, 70) == [
        None, 10, 10, 10, 10, 10, 50,
    ]  # fmt: skip


def test_the_background_is_the_same_array_until_it_is_computed_anew() -> None:
    model = MedianBackground(3, 2, 1)
    seen = []
    for level in range(12):
        model.update(np.full((2, 3), level, np.uint8))
        seen.append(model.background)
    known = [background for background in seen if background is not None]
    assert [int(background[0, 0]) for background in known] == [2] * 6 + [8] * 2
    assert len({id(background) for background in known}) == 2


def test_frames_of_another_size() -> None:
    model = MedianBackground()
    model.update(np.zeros((2, 3), np.uint8))
    for _ in range(4):
        model.update(np.zeros((4, 6), np.uint8))
    with pytest.raises(ValueError, match=r"keep their size \(2, 3\), got \(4, 6\)"):
        model.update(np.zeros((4, 6), np.uint8))
    model.reset()
    model.update(np.zeros((4, 6), np.uint8))


@pytest.mark.parametrize("percentile", [-0.1, 100.1])
def test_impossible_percentile(percentile: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        MedianBackground(percentile=percentile)


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_numbers_below_one(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MedianBackground(*numbers)
