"""The service collects by itself: when it is due, in one process, and not because a clock jumped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_autotuner.errors import StorageError
from edge_autotuner.server.collection_schedule import CONFIRM_S, LOOK_S, MAX_LATE_S, RETRY_S, CollectionSchedule
from edge_autotuner.server.metrics import Metrics
from edge_autotuner.server.problems import Problem
from edge_autotuner.server.retention import DAY_S, RetentionRules
from edge_autotuner.wire.registry_messages import CollectedGarbage
from support.service.registry_samples import Parts, open_parts
from support.service.service_samples import WAIT_S

HOUR_S = 3600.0
EVERY_S = 6 * HOUR_S
GRACE_S = DAY_S


class Watched:
    """A schedule, what it collects, and what it counts."""

    def __init__(self, parts: Parts, *, every_s: float | None = EVERY_S, first_after_s: float = 1.0) -> None:
        self.parts = parts
        self.metrics = Metrics()
        self.chores: list[str] = []
        self.schedule = CollectionSchedule(
            parts.registry,
            parts.database,
            parts.audit,
            self.metrics,
            every_s=every_s,
            first_after_s=first_after_s,
            chores=[lambda: self.chores.append("done")],
            clock=parts.clock,
        )

    def count(self, outcome: str) -> float:
        value = self.metrics.registry.get_sample_value("edge_autotuner_collections_total", {"outcome": outcome})
        return value or 0.0

    def look_later(self, seconds: float) -> float:
        self.parts.clock.advance(seconds)
        return self.schedule.look()


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = open_parts(tmp_path, rules=RetentionRules(grace_s=GRACE_S))
    yield made
    made.close()


@pytest.fixture
def watched(parts: Parts) -> Watched:
    """A schedule that has collected for a day."""
    made = Watched(parts)
    made.schedule.look()
    made.look_later(CONFIRM_S)
    for _ in range(4):
        made.look_later(EVERY_S)
    assert (made.count("only-noted"), made.count("done")) == (1, 5)
    return made


def n_contents(parts: Parts) -> int:
    return len(list(parts.blobs.all()))


def outcomes(parts: Parts) -> list[str]:
    return [entry.outcome for entry in parts.audit.entries() if entry.action == "collection"]


def test_what_is_old_goes_when_it_is_due(watched: Watched) -> None:
    parts = watched.parts
    parts.blobs.store(b"a picture")
    for _ in range(3):
        assert watched.look_later(EVERY_S) == LOOK_S
        assert n_contents(parts) == 1
    watched.look_later(EVERY_S)
    assert n_contents(parts) == 0
    sample = watched.metrics.registry.get_sample_value
    assert sample("edge_autotuner_last_collection_bytes") == len(b"a picture")
    assert sample("edge_autotuner_last_collection_time_seconds") == parts.clock.now().timestamp()
    last = list(parts.audit.entries())[-2:]
    assert [(entry.action, entry.client) for entry in last] == [
        ("collection", "(schedule)"),
        ("blobs-collected", "(schedule)"),
    ]


def test_nothing_is_collected_before_it_is_due(watched: Watched) -> None:
    assert watched.look_later(EVERY_S - 60) == 60
    assert watched.count("done") == 5
    assert len(watched.chores) == 7, "chores are done at each look"
    watched.look_later(60)
    assert watched.count("done") == 6


def test_the_first_collection_of_all_is_only_noted(parts: Parts) -> None:
    """An old folder with a new clock, or the other way round: nobody knows yet."""
    parts.blobs.store(b"a picture")
    parts.clock.advance(10 * GRACE_S)
    watched = Watched(parts)
    watched.schedule.look()
    assert (outcomes(parts), n_contents(parts)) == (["only-noted"], 1)
    watched.look_later(CONFIRM_S)
    assert (outcomes(parts), n_contents(parts)) == (["only-noted", "begun"], 0)


def test_processes_take_turns(watched: Watched) -> None:
    other = Watched(watched.parts)
    watched.look_later(EVERY_S)
    other.schedule.look()
    assert (watched.count("done"), other.count("done")) == (6, 0)
    other.look_later(EVERY_S)
    watched.schedule.look()
    assert (watched.count("done"), other.count("done")) == (6, 1)


def test_processes_that_look_at_once_take_turns(watched: Watched) -> None:
    others = [Watched(watched.parts) for _ in range(4)]
    watched.parts.clock.advance(EVERY_S)
    threads = [threading.Thread(target=other.schedule.look) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert sum(other.count("done") for other in others) == 1


def test_a_clock_that_jumps_a_year_ahead_and_back_removes_nothing(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    parts = watched.parts
    parts.blobs.store(b"a picture")
    watched.look_later(365 * DAY_S)
    assert n_contents(parts) == 1
    assert "the clock was set, or the service did not run" in caplog.text
    watched.look_later(-365 * DAY_S)
    assert "the clock was set back" in caplog.text
    watched.look_later(CONFIRM_S)
    assert n_contents(parts) == 1
    assert outcomes(parts)[-3:] == ["only-noted", "only-noted", "begun"]


def test_a_clock_that_stays_ahead_is_believed_at_the_second_time(watched: Watched) -> None:
    watched.parts.blobs.store(b"a picture")
    watched.look_later(365 * DAY_S)
    watched.look_later(CONFIRM_S - 1)
    assert n_contents(watched.parts) == 1
    watched.look_later(1)
    assert n_contents(watched.parts) == 0


def test_a_clock_that_jumps_between_two_looks_again_is_not_believed(watched: Watched) -> None:
    watched.parts.blobs.store(b"a picture")
    for _ in range(5):
        watched.look_later(100 * DAY_S)
    assert n_contents(watched.parts) == 1
    assert outcomes(watched.parts)[-5:] == ["only-noted"] * 5


@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [
        pytest.param(EVERY_S + MAX_LATE_S, "begun", id="somewhat-late"),
        pytest.param(EVERY_S + MAX_LATE_S + 1, "only-noted", id="too-late"),
        pytest.param(-60, "begun", id="another-machine's-clock"),
        pytest.param(-61, "only-noted", id="set-back"),
    ],
)
def test_how_far_a_clock_is_believed(watched: Watched, seconds: float, outcome: str) -> None:
    n_before = len(outcomes(watched.parts))
    watched.look_later(seconds)
    watched.look_later(0 if seconds > 0 else EVERY_S + 60)
    assert outcomes(watched.parts)[n_before] == outcome


def failing(times: int, error: Exception, then: Callable[..., CollectedGarbage]) -> Callable[..., CollectedGarbage]:
    left = iter(range(times))

    def collect(**arguments: object) -> CollectedGarbage:
        if next(left, None) is not None:
            raise error
        return then(**arguments)

    return collect


@pytest.mark.parametrize(
    "error", [StorageError("full"), Problem(507, "disk-full", "full"), RuntimeError("?")], ids=["disk", "room", "any"]
)
def test_what_failed_is_tried_again_soon(
    watched: Watched, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    collect = watched.parts.registry.collect_garbage
    monkeypatch.setattr(watched.parts.registry, "collect_garbage", failing(2, error, collect))
    assert watched.look_later(EVERY_S) == RETRY_S
    assert watched.look_later(RETRY_S) == RETRY_S
    assert "next attempt in 300 s" in caplog.text
    assert watched.look_later(RETRY_S) == LOOK_S
    assert (watched.count("failed"), watched.count("done")) == (2, 6)
    assert watched.look_later(RETRY_S) == LOOK_S
    assert watched.count("done") == 6


def test_a_database_that_is_away_for_a_while(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise StorageError("cannot use the database")

    watched.parts.blobs.store(b"a picture")
    watched.parts.clock.advance(GRACE_S - EVERY_S)
    with monkeypatch.context() as patched:
        patched.setattr(watched.parts.database, "writing", away)
        for _ in range(30):
            assert watched.look_later(RETRY_S) == RETRY_S
    for _ in range(12):
        watched.look_later(CONFIRM_S)
    assert n_contents(watched.parts) == 0


def test_a_chore_that_fails_keeps_nothing_else_from_happening(parts: Parts) -> None:
    def failing_chore() -> None:
        raise OSError("no such folder")

    done: list[str] = []
    schedule = CollectionSchedule(
        parts.registry,
        parts.database,
        parts.audit,
        Metrics(),
        every_s=EVERY_S,
        first_after_s=1.0,
        chores=[failing_chore, lambda: done.append("second")],
        clock=parts.clock,
    )
    schedule.look()
    assert done == ["second"]
    assert outcomes(parts) == ["only-noted"]


def test_without_a_schedule_only_chores_are_done(parts: Parts) -> None:
    watched = Watched(parts, every_s=None)
    assert watched.look_later(1000 * DAY_S) == LOOK_S
    assert (watched.chores, outcomes(parts)) == (["done"], [])


def test_nothing_begins_while_the_service_is_being_stopped(watched: Watched) -> None:
    watched.schedule.stop()
    watched.look_later(EVERY_S)
    assert watched.count("done") == 5


def test_the_thread_looks_again_and_again_until_it_is_stopped(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(parts, first_after_s=0.001)
    looked = threading.Semaphore(0)

    def look() -> float:
        looked.release()
        return 0.001

    monkeypatch.setattr(watched.schedule, "look", look)
    watched.schedule.start()
    for _ in range(3):
        assert looked.acquire(timeout=WAIT_S)
    watched.schedule.close()
    assert not watched.schedule._thread.is_alive()


def test_a_collection_under_way_ends_when_the_service_is_stopped(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collect(*, client: str, should_stop: Callable[[], bool]) -> CollectedGarbage:
        before = should_stop()
        watched.schedule.stop()
        assert (before, should_stop()) == (False, True)
        return CollectedGarbage(bundles=(), blobs=(), n_bytes=0)

    monkeypatch.setattr(watched.parts.registry, "collect_garbage", collect)
    watched.look_later(EVERY_S)
    assert watched.count("done") == 6


def test_a_schedule_that_never_started_can_be_closed(parts: Parts) -> None:
    Watched(parts).schedule.close()
