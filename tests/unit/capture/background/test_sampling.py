"""Every k-th frame."""

from __future__ import annotations

import pytest

from edge_autotuner.capture.background.median import EveryKth


@pytest.mark.parametrize(
    ("k", "n_at_once", "picked"),
    [
        (1, 1, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (3, 1, [0, 3, 6]),
        (4, 3, [0, 1, 2, 4, 8]),
        (2, 3, [0, 1, 2, 4, 6, 8]),
        (20, 1, [0]),
    ],
)
def test_picked_frames(k: int, n_at_once: int, picked: list[int]) -> None:
    sampling = EveryKth(k, n_at_once)
    assert [number for number in range(9) if sampling.count()] == picked
    sampling.reset()
    assert [number for number in range(9) if sampling.count()] == picked


def test_k_below_one() -> None:
    with pytest.raises(ValueError, match="k must be at least 1"):
        EveryKth(0)
