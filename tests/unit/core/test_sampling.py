"""Items picked evenly."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.core.sampling import evenly_spread, spread_order


@pytest.mark.parametrize("n_items", [0, 1, 2, 3, 7, 100, 101])
@pytest.mark.parametrize("n_wanted", [0, 1, 2, 3, 40, 200])
def test_evenly_spread_positions_rise_and_are_as_many_as_there_can_be(n_items: int, n_wanted: int) -> None:
    positions = evenly_spread(n_items, n_wanted)
    assert len(positions) == min(n_items, n_wanted)
    assert (np.diff(positions) > 0).all()
    assert all(0 <= position < n_items for position in positions)
    if len(positions) > 1:
        assert (positions[0], positions[-1]) == (0, n_items - 1)


@pytest.mark.parametrize(
    ("n_items", "expected"),
    [(0, []), (1, [0]), (2, [0, 1]), (3, [0, 2, 1]), (8, [0, 4, 2, 6, 1, 5, 3, 7])],
)
def test_spread_order(n_items: int, expected: list[int]) -> None:
    assert spread_order(n_items) == expected


@pytest.mark.parametrize(
    ("n", "wanted", "expected"), [(0, 3, []), (1, 3, [0]), (2, 3, [0, 1]), (5, 3, [0, 2, 4]), (9, 2, [0, 8])]
)
def test_evenly_spread(n: int, wanted: int, expected: list[int]) -> None:
    assert evenly_spread(n, wanted).tolist() == expected
