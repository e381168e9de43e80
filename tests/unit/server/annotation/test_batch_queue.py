"""When a batch is ready, in time that only the test moves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_autotuner.server.annotation.batch_queue import BatchQueue, BatchRules, Place


def queue_of(**rules: Any) -> BatchQueue[str]:
    defaults = {"max_batch": 3, "max_wait_s": 1.0, "max_items": 10, "max_pixels": 1000, "n_parallel": 2}
    return BatchQueue(BatchRules(**{**defaults, **rules}))


def put(queue: BatchQueue[str], *items: str, now_s: float = 0.0) -> list[Place]:
    places = queue.reserve([1] * len(items))
    assert places is not None
    for place, item in zip(places, items, strict=True):
        queue.add(place, item, now_s)
    return places


def test_an_idle_model_takes_what_is_there_at_once() -> None:
    queue = queue_of()
    assert queue.take(0.0) == []
    put(queue, "a")
    assert queue.wait_s(0.0) == 0.0
    assert queue.take(0.0) == ["a"]


def test_a_second_call_starts_when_the_oldest_picture_has_waited_long_enough() -> None:
    queue = queue_of()
    put(queue, "a")
    assert queue.take(0.0) == ["a"]
    put(queue, "b", now_s=5.0)
    put(queue, "c", now_s=5.9)
    assert queue.take(5.9) == []
    assert queue.wait_s(5.9) == pytest.approx(0.1)
    assert queue.take(6.0) == ["b", "c"]


def test_a_second_call_starts_when_its_batch_is_full() -> None:
    queue = queue_of()
    put(queue, "a")
    queue.take(0.0)
    put(queue, "b", "c")
    assert queue.take(0.0) == []
    put(queue, "d", "e")
    assert queue.take(0.0) == ["b", "c", "d"]
    assert queue.wait_s(99.0) is None, "both calls are under way"
    assert queue.take(99.0) == []


def test_the_end_of_a_call_makes_room_for_the_next() -> None:
    queue = queue_of(n_parallel=1)
    put(queue, "a")
    queue.take(0.0)
    put(queue, "b", "c")
    assert queue.take(0.0) == []
    queue.finished(1)
    assert queue.take(0.0) == ["b", "c"]


def test_places_are_given_to_all_or_none() -> None:
    queue = queue_of(max_items=3)
    assert queue.reserve([1, 1]) is not None
    assert queue.reserve([1, 1]) is None
    assert queue.n_held == 2
    assert queue.reserve([1]) is not None


def test_pixels_are_bounded_too() -> None:
    queue = queue_of(max_pixels=100)
    places = queue.reserve([60])
    assert places is not None
    assert queue.reserve([41]) is None
    queue.release(places[0])
    assert queue.reserve([41]) is not None


def test_a_picture_that_is_given_back_is_not_taken() -> None:
    queue = queue_of()
    first, second = put(queue, "a", "b")
    queue.release(first)
    queue.release(first)
    assert queue.n_held == 1
    assert queue.take(0.0) == ["b"]
    queue.release(second)
    assert queue.n_held == 0
    with pytest.raises(ValueError, match="freed"):
        queue.add(first, "a", 0.0)


def test_what_is_ahead_counts_the_pictures_in_calls() -> None:
    queue = queue_of()
    put(queue, "a", "b", "c", "d")
    queue.take(0.0)
    assert (queue.n_held, queue.n_ahead) == (1, 4)
    queue.finished(3)
    assert queue.n_ahead == 1


EVENTS = st.lists(st.sampled_from(["reserve", "add", "release", "take", "finish", "wait"]), max_size=60)


@settings(max_examples=200)
@given(events=EVENTS, max_batch=st.integers(1, 4), n_parallel=st.integers(1, 3), seed=st.integers(0, 9))
def test_no_order_of_events_loses_or_repeats_a_picture(
    events: list[str], max_batch: int, n_parallel: int, seed: int
) -> None:
    queue = queue_of(max_batch=max_batch, n_parallel=n_parallel, max_items=6)
    held: list[Place] = []
    waiting: list[str] = []
    running: list[list[str]] = []
    now_s, number = 0.0, 0
    for event in events:
        if event == "reserve":
            places = queue.reserve([1])
            assert (places is None) == (len(held) + len(waiting) == 6)
            held += places or []
        elif event == "add" and held:
            number += 1
            queue.add(held.pop(), str(number), now_s)
            waiting.append(str(number))
        elif event == "release" and held:
            queue.release(held.pop())
        elif event == "wait":
            now_s += 0.6
        elif event == "finish" and running:
            queue.finished(len(running.pop(seed % len(running))))
        elif event == "take":
            batch = queue.take(now_s)
            assert batch == waiting[: len(batch)]
            assert len(batch) <= max_batch
            is_due = bool(waiting) and len(running) < n_parallel and (not running or len(waiting) >= max_batch)
            assert batch or not is_due
            waiting = waiting[len(batch) :]
            if batch:
                running.append(batch)
        assert queue.n_held == len(held) + len(waiting)
        assert queue.n_ahead == queue.n_held + sum(map(len, running))
        assert len(running) <= n_parallel
