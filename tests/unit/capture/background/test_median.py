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


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_numbers_below_one(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MedianBackground(*numbers)
