"""Waits between attempts."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.live.backoff import Backoff
from edge_autotuner.config import StreamConfig


def backoff(**settings: float) -> Backoff:
    return Backoff(StreamConfig(**settings), np.random.default_rng(1))  # type: ignore[arg-type]


def test_waits_double_up_to_the_longest() -> None:
    waits = backoff(first_retry_s=1, longest_retry_s=10)
    limits = []
    for _ in range(6):
        limits.append(waits.limit_s)
        assert 0.75 * limits[-1] <= waits.next_wait_s() <= limits[-1]
    assert limits == [1, 2, 4, 8, 10, 10]


def test_a_success_begins_anew() -> None:
    waits = backoff(first_retry_s=1, longest_retry_s=10)
    for _ in range(3):
        waits.next_wait_s()
    waits.reset()
    assert waits.limit_s == 1


def test_years_of_failures_overflow_nothing() -> None:
    waits = backoff(first_retry_s=1, longest_retry_s=60)
    for _ in range(5000):
        assert waits.next_wait_s() <= 60


def test_two_cameras_are_not_tried_at_the_same_moments() -> None:
    config = StreamConfig()
    one, other = (Backoff(config, np.random.default_rng(seed)) for seed in (1, 2))
    assert one.next_wait_s() != other.next_wait_s()


def test_a_first_wait_longer_than_the_longest_stays() -> None:
    waits = backoff(first_retry_s=5, longest_retry_s=1)
    waits.next_wait_s()
    assert waits.limit_s == pytest.approx(5)
