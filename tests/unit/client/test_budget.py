"""The upload budget: its rate, its bursts, and several senders."""

from __future__ import annotations

import random
import threading

import pytest

from edge_autotuner.client import UploadBudget
from edge_autotuner.core import FakeClock, SystemClock


def budget(kbps: float) -> tuple[UploadBudget, FakeClock]:
    clock = FakeClock()
    return UploadBudget(kbps, clock=clock, sleep=clock.advance), clock


@pytest.mark.parametrize("kbps", [8, 100, 2_000, 100_000])
def test_the_rate_holds_over_time(kbps: float) -> None:
    bucket, clock = budget(kbps)
    rng = random.Random(1)
    n_sent = 0
    while clock.elapsed_s < 60:
        n_bytes = rng.randint(1, 4 * bucket.burst_bytes)
        bucket.take(n_bytes)
        n_sent += n_bytes
    assert n_sent == pytest.approx(kbps * 125 * clock.elapsed_s + bucket.burst_bytes, rel=1e-6)


def test_one_kilobit_is_125_bytes() -> None:
    bucket, _ = budget(8.0)  # 1000 bytes per second
    bucket.take(bucket.burst_bytes)
    assert bucket.take(500) == pytest.approx(0.5)


def test_a_pause_earns_one_burst_and_no_more() -> None:
    bucket, clock = budget(80.0)
    assert bucket.take(bucket.burst_bytes) == 0.0
    clock.advance(3600)
    assert bucket.take(bucket.burst_bytes) == 0.0
    assert bucket.take(1) > 0.0


def test_nothing_is_taken_when_it_would_take_too_long() -> None:
    bucket, clock = budget(8.0)
    bucket.take(bucket.burst_bytes)
    with pytest.raises(TimeoutError, match="only in 10 s"):
        bucket.take(10_000, longest_s=9.9)
    assert clock.elapsed_s == 0.0
    assert bucket.take(1000, longest_s=1.1) == pytest.approx(1.0)


def test_several_senders_share_one_rate() -> None:
    waits: list[float] = []
    bucket = UploadBudget(8.0, clock=FakeClock(), sleep=waits.append)  # the clock stands still: waits add up
    bucket.take(bucket.burst_bytes)
    senders = [threading.Thread(target=bucket.take, args=(100,)) for _ in range(20)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(waits) == pytest.approx([0.1 * (i + 1) for i in range(20)])


@pytest.mark.parametrize("kbps", [0, -1, float("inf"), float("nan")])
def test_wrong_rates(kbps: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        UploadBudget(kbps, clock=SystemClock(), sleep=lambda _: None)
