"""Frames that are looked at at the same time give the answers of one after the other, and no more waits than must."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from operator import itemgetter

import pytest

from edge_autotuner.annotation.ahead import look_ahead

TIMEOUT_S = 30.0


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n_items", [0, 1, 2, 20])
def test_answers_come_in_order(n_items: int, n_threads: int) -> None:
    answers = list(look_ahead(range(n_items), lambda i: i * i, n_threads=n_threads))
    assert answers == [(i, i * i) for i in range(n_items)]


def test_frames_are_looked_at_at_the_same_time() -> None:
    """Each waits for the other: one after the other would never end."""
    both = threading.Barrier(2, timeout=TIMEOUT_S)
    assert [i for i, _ in look_ahead(range(4), lambda _: both.wait(), n_threads=2)] == [0, 1, 2, 3]


def test_nothing_is_taken_long_before_it_is_looked_at() -> None:
    """Whoever stops giving items, because a deadline has passed, must not find many taken before."""
    taken = []

    def items() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    answers = look_ahead(items(), lambda i: i, n_threads=3)
    assert next(answers) == (0, 0)
    assert len(taken) <= 4
    answers.close()


@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_failure_comes_in_its_turn(n_threads: int) -> None:
    def look(i: int) -> int:
        if i == 3:
            raise RuntimeError("at 3")
        return i

    seen: list[int] = []
    answers = look_ahead(range(10), look, n_threads=n_threads)
    with pytest.raises(RuntimeError, match="at 3"):
        seen.extend(map(itemgetter(0), answers))
    assert seen == [0, 1, 2]


def test_from_the_calling_thread_where_one_is_enough() -> None:
    ((_, thread),) = look_ahead([0], lambda _: threading.current_thread(), n_threads=1)
    assert thread is threading.current_thread()


def test_without_threads() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        next(look_ahead([1], lambda i: i, n_threads=0))
