"""Who gives way in a full reservoir: the plentiful, not the rare or the old."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from edge_autotuner.dataset.replay_balance import Candidate, choose_kept


def candidate(key: float, classes: str = "a", era: str = "1", n_bytes: int = 1) -> Candidate:
    """Return a picture that shows one class per letter."""
    return Candidate(key, tuple(sorted(classes)), era, n_bytes)


def kept(candidates: list[Candidate], max_pictures: int, max_bytes: int = 10**9) -> list[int]:
    return choose_kept(candidates, max_pictures=max_pictures, max_bytes=max_bytes)


def many(n: int, classes: str, era: str = "1", *, seed: int = 0) -> list[Candidate]:
    return [candidate(float(key), classes, era) for key in np.random.default_rng(seed).random(n)]


@pytest.mark.parametrize(
    ("candidates", "max_pictures", "expected"),
    [
        pytest.param([], 3, [], id="nothing"),
        pytest.param([candidate(0.5)], 1, [0], id="one fits"),
        pytest.param([candidate(0.5)], 0, [], id="no place"),
        pytest.param([candidate(0.9), candidate(0.1), candidate(0.5)], 2, [1, 2], id="the highest key goes"),
        pytest.param([candidate(0.1), candidate(0.2), candidate(0.9, "b")], 2, [0, 2], id="the rare class stays"),
        pytest.param(
            [candidate(0.1, era="1"), candidate(0.2, era="1"), candidate(0.9, era="2")], 2, [0, 2], id="the time stays"
        ),
        pytest.param(
            [candidate(0.1), candidate(0.2), candidate(0.9, "ab"), candidate(0.3)], 2, [0, 2], id="counts as its rarest"
        ),
        pytest.param([candidate(0.1), candidate(0.2), candidate(0.9, "")], 2, [0, 2], id="empty is a class"),
    ],
)
def test_small_cases_by_hand(candidates: list[Candidate], max_pictures: int, expected: list[int]) -> None:
    assert kept(candidates, max_pictures) == expected


def test_bytes_are_a_limit_of_their_own() -> None:
    candidates = [candidate(0.1, n_bytes=60), candidate(0.2, n_bytes=50), candidate(0.3, n_bytes=1)]
    assert kept(candidates, 9, 111) == [0, 1, 2]
    assert kept(candidates, 9, 110) == [0, 1]
    assert kept(candidates, 9, 59) == []


def test_classes_share_the_places_equally() -> None:
    candidates = [*many(200, "a"), *many(50, "b", seed=1), *many(4, "c", seed=2)]
    counts = Counter(candidates[i].classes for i in kept(candidates, 24))
    assert counts == {("a",): 10, ("b",): 10, ("c",): 4}


def test_times_share_the_places_of_a_class_equally() -> None:
    """A year later, the first hours have as many places as the last."""
    held: list[Candidate] = []
    for hour in range(40):
        held += many(30, "a", f"{hour:02}", seed=hour)
        held = [held[i] for i in kept(held, 80)]
    assert Counter(Counter(c.era for c in held).values()) == {2: 40}


def test_a_class_that_came_once_is_never_pushed_out() -> None:
    held = [candidate(0.999, "b", "00")]
    for hour in range(30):
        held += many(20, "a", f"{hour:02}", seed=hour)
        held = [held[i] for i in kept(held, 12)]
    assert held[0].classes == ("b",)
    assert len(held) == 12


def test_neither_order_nor_portions_matter_inside_a_group() -> None:
    """A fair sample: what stays are the lowest keys of everything that was ever offered."""
    candidates = many(100, "a")
    lowest = sorted(c.key for c in candidates)[:10]
    assert sorted(candidates[i].key for i in kept(candidates, 10)) == lowest
    held: list[Candidate] = []
    for start in range(0, 100, 7):
        held += candidates[start : start + 7]
        held = [held[i] for i in kept(held, 10)]
    assert sorted(c.key for c in held) == lowest


def test_another_order_keeps_the_same_pictures() -> None:
    candidates = [*many(40, "ab", "1"), *many(30, "a", "2", seed=1), *many(20, "b", "2", seed=2), *many(9, "", seed=3)]
    order = np.random.default_rng(5).permutation(len(candidates))
    shuffled = [candidates[i] for i in order]
    assert {candidates[i].key for i in kept(candidates, 30)} == {shuffled[i].key for i in kept(shuffled, 30)}
