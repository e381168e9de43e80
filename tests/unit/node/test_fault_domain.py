"""Failures stay where they happen, are said once, and rest."""

from __future__ import annotations

import logging

import pytest

from edge_autotuner.core import FakeClock
from edge_autotuner.errors import DatasetError
from edge_autotuner.node.fault_domain import LONGEST_RETRY_S, FaultDomain, FaultDomains


class Work:
    """Work that fails while it has something to raise."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.n_tried = 0

    def __call__(self) -> int:
        self.n_tried += 1
        if self.error is not None:
            raise self.error
        return self.n_tried


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (DatasetError("it is damaged"), "it is damaged"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (MemoryError(), "unexpected MemoryError: "),
        (RecursionError("deep"), "unexpected RecursionError: deep"),
        (AssertionError("cannot be"), "unexpected AssertionError: cannot be"),
    ],
)
def test_whatever_fails_is_caught_and_told(error: Exception, problem: str) -> None:
    domain, work = FaultDomain("gate: learning", FakeClock()), Work()
    assert domain.attempt(work, -1) == 1
    assert domain.problem is None
    work.error = error
    assert domain.attempt(work, -1) == -1
    assert (domain.problem, domain.n_failures) == (problem, 1)


def test_after_a_failure_the_work_rests_for_longer_and_longer() -> None:
    clock, work = FakeClock(), Work()
    domain = FaultDomain("x", clock, first_retry_s=1.0, longest_retry_s=60.0)
    work.error = DatasetError("damaged")
    waits_s = []
    for _ in range(8):
        assert not domain.do(work)
        n_tried, since_s = work.n_tried, clock.monotonic_s()
        while work.n_tried == n_tried:
            clock.advance(0.5)
            domain.do(work)
        waits_s.append(clock.monotonic_s() - since_s)
        clock.advance(LONGEST_RETRY_S)
    assert waits_s == sorted(waits_s)
    assert waits_s[-1] == 60.0
    work.error = None
    assert domain.do(work)
    assert domain.problem is None
    work.error = DatasetError("damaged")
    domain.do(work)
    clock.advance(1.0)
    assert not domain.is_resting, "a success forgets the failures before it"


def test_work_of_every_frame_never_rests() -> None:
    domain, work = FaultDomain("gate: reporting", FakeClock(), first_retry_s=0), Work()
    work.error = ValueError("not finite")
    for _ in range(100):
        assert not domain.do(work)
    assert work.n_tried == 100


def test_a_problem_is_said_once_and_then_later_and_later(caplog: pytest.LogCaptureFixture) -> None:
    clock, work = FakeClock(), Work()
    domain = FaultDomain("gate: retention", clock, first_retry_s=0)
    work.error = DatasetError("damaged")
    with caplog.at_level(logging.INFO):
        for _ in range(3600):
            domain.do(work)
            clock.advance(1.0)
        assert len(caplog.records) == 6, "after 0, 60, 180, 420, 900 and 1860 s"
        work.error = None
        domain.do(work)
        domain.do(work)
    assert [record.getMessage() for record in caplog.records[-2:]] == [
        "gate: retention: damaged; everything else continues",
        "gate: retention: works again",
    ]


def test_a_problem_that_flickers_or_differs_each_time_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    clock, work = FakeClock(), Work()
    domain = FaultDomain("gate: reporting", clock, first_retry_s=0)
    with caplog.at_level(logging.INFO):
        for n in range(1000):
            work.error = DatasetError(f"number {n}") if n % 2 else None
            domain.do(work)
            clock.advance(0.1)
    assert len(caplog.records) <= 20, "100 s, and at most one line and its end every 10 s"


def test_the_domains_of_a_node_say_what_does_not_work() -> None:
    domains = FaultDomains(FakeClock())
    assert domains.of("a") is domains.of("a")
    work = Work()
    work.error = DatasetError("damaged")
    domains.of("a").do(work)
    domains.of("b").do(lambda: None)
    assert domains.problems == {"a": "damaged"}


def test_the_end_of_the_process_is_no_fault() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FaultDomain("x", FakeClock()).do(stop)
