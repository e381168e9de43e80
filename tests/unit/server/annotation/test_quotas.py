"""What clients may ask for, in time that only the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.core import FakeClock
from edge_autotuner.server.annotation.quotas import Quotas, TokenBucket


def quotas(clock: FakeClock, *, requests: float | None = 60.0, pixels: float | None = 600.0) -> Quotas:
    return Quotas(requests_per_minute=requests, pixels_per_minute=pixels, clock=clock)


def test_a_minutes_worth_may_come_at_once_and_then_one_per_second() -> None:
    clock = FakeClock()
    limited = quotas(clock)
    for _ in range(60):
        assert limited.wait_s("cam1") == 0.0
        limited.take("cam1", n_requests=1)
    assert limited.wait_s("cam1") > 0.0
    clock.advance(1.0)
    assert limited.wait_s("cam1") == 0.0
    limited.take("cam1", n_requests=1)
    assert limited.wait_s("cam1") == pytest.approx(1.0)


def test_clients_do_not_share() -> None:
    limited = quotas(FakeClock())
    limited.take("cam1", n_requests=60)
    assert limited.wait_s("cam1") > 0.0
    assert limited.wait_s("cam2") == 0.0


def test_pixels_beyond_the_whole_quota_pass_and_are_paid_for_later() -> None:
    clock = FakeClock()
    limited = quotas(clock)
    limited.take("cam1", n_requests=1, n_pixels=1800)
    assert limited.wait_s("cam1") == pytest.approx(120.1)
    clock.advance(120.0)
    assert limited.wait_s("cam1") > 0.0
    clock.advance(0.101)
    assert limited.wait_s("cam1") == 0.0


def test_no_quota_means_no_limit() -> None:
    limited = quotas(FakeClock(), requests=None, pixels=None)
    limited.take("cam1", n_requests=10**9, n_pixels=10**15)
    assert limited.wait_s("cam1") == 0.0


def test_a_clock_that_goes_back_fills_nothing() -> None:
    bucket = TokenBucket(60.0, filled_at_s=100.0)
    bucket.take(60.0, 100.0)
    assert bucket.wait_s(50.0) > 0.0
    assert bucket.wait_s(100.0) > 0.0


@given(steps=st.lists(st.tuples(st.floats(0, 30), st.floats(0.1, 200)), max_size=40), per_minute=st.floats(0.5, 1000))
def test_the_mean_is_kept_whatever_is_asked_for(steps: list[tuple[float, float]], per_minute: float) -> None:
    bucket, now_s, taken, largest = TokenBucket(per_minute, filled_at_s=0.0), 0.0, 0.0, 0.0
    for wait_s, amount in steps:
        now_s += wait_s
        if bucket.wait_s(now_s) == 0.0:
            bucket.take(amount, now_s)
            taken, largest = taken + amount, max(largest, amount)
    assert taken <= per_minute * (1 + now_s / 60) + largest + 1e-6
