"""Waits between attempts."""

from __future__ import annotations

import random

import pytest

from edge_autotuner.core import Backoff


def test_waits_double_up_to_the_longest() -> None:
    waits = Backoff(1, 10, jitter=0.25, draw=random.Random(1).uniform)
    limits = []
    for _ in range(6):
        limits.append(waits.limit_s)
        assert 0.75 * limits[-1] <= waits.next_wait_s() <= limits[-1]
    assert limits == [1, 2, 4, 8, 10, 10]


def test_without_jitter_waits_are_exact() -> None:
    waits = Backoff(0.5, 3)
    assert [waits.next_wait_s() for _ in range(5)] == [0.5, 1, 2, 3, 3]


def test_full_jitter_draws_from_zero() -> None:
    waits = Backoff(8, 8, jitter=1.0, draw=random.Random(2).uniform)
    drawn = [waits.next_wait_s() for _ in range(500)]
    assert min(drawn) < 0.5
    assert max(drawn) > 7.5


def test_a_success_begins_anew() -> None:
    waits = Backoff(1, 10)
    for _ in range(3):
        waits.next_wait_s()
    waits.reset()
    assert waits.limit_s == 1


def test_years_of_failures_overflow_nothing() -> None:
    waits = Backoff(1, 60)
    assert max(waits.next_wait_s() for _ in range(5000)) == 60


def test_two_clients_are_not_tried_at_the_same_moments() -> None:
    one, other = (Backoff(1, 60, jitter=0.25, draw=random.Random(seed).uniform) for seed in (1, 2))
    assert one.next_wait_s() != other.next_wait_s()


@pytest.mark.parametrize(("first_s", "longest_s", "expected"), [(0, 60, [0, 0]), (5, 1, [1, 1])])
def test_edges(first_s: float, longest_s: float, expected: list[float]) -> None:
    waits = Backoff(first_s, longest_s)
    assert [waits.next_wait_s() for _ in range(2)] == expected
