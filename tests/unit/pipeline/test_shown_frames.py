"""Which test frames the report shows."""

from __future__ import annotations

import numpy as np

from edge_autotuner.evaluation import PointCounts
from edge_autotuner.pipeline.shown_frames import typical_frames


def _counts(n_found: list[int], n_false: list[int] | None = None) -> PointCounts:
    found = np.array(n_found, np.int64)[:, None]
    false = np.zeros_like(found) if n_false is None else np.array(n_false, np.int64)[:, None]
    return PointCounts(found, found, false, false, np.ones(len(found)))


def test_gains_and_losses_are_shown_in_proportion() -> None:
    before = _counts([5] * 12)
    after = _counts([6] * 6 + [4] * 3 + [5] * 3)
    chosen = typical_frames(before, after, 3)
    assert sum(i < 6 for i in chosen) == 2
    assert sum(6 <= i < 9 for i in chosen) == 1


def test_the_first_one_is_typical() -> None:
    """Of gains by 1, 2, 2, 2 and 9 objects, one by 2 comes first."""
    chosen = typical_frames(_counts([0] * 5), _counts([9, 2, 1, 2, 2]), 5)
    assert chosen[0] == 1
    assert sorted(chosen[1:]) == chosen[1:]
    assert len(set(chosen)) == 5


def test_a_false_box_less_is_a_gain() -> None:
    assert typical_frames(_counts([3, 3], [1, 0]), _counts([3, 3], [0, 0]), 6) == [0]


def test_equal_models_are_shown_evenly_in_time() -> None:
    same = _counts([2] * 9)
    assert typical_frames(same, same, 3) == [0, 4, 8]
    assert typical_frames(_counts([]), _counts([]), 3) == []


def test_all_that_differ_are_shown_where_they_are_few() -> None:
    assert sorted(typical_frames(_counts([1, 1, 1, 1]), _counts([2, 1, 1, 0]), 6)) == [0, 3]
