"""Batches that are made while the last one is used."""

from __future__ import annotations

import threading

import pytest

from edge_autotuner.training.microbatches import prefetch


@pytest.mark.parametrize("has_thread", [False, True])
def test_everything_comes_in_order(has_thread: bool) -> None:
    with prefetch(range(5), lambda item: item * item, has_thread=has_thread) as made:
        assert list(made) == [0, 1, 4, 9, 16]


def test_the_next_one_is_made_meanwhile_and_none_after_it() -> None:
    begun = [threading.Event() for _ in range(3)]

    def make(item: int) -> int:
        begun[item].set()
        return item

    with prefetch(range(3), make, has_thread=True) as made:
        assert next(made) == 0
        assert begun[1].wait(60), "nobody asked for it yet"
    assert not begun[2].is_set()


def test_without_a_thread_nothing_is_made_ahead() -> None:
    begun = []
    with prefetch(range(3), begun.append, has_thread=False) as made:
        next(made)
        assert begun == [0]


@pytest.mark.parametrize("has_thread", [False, True])
def test_what_goes_wrong_is_raised_in_its_turn(has_thread: bool) -> None:
    def make(item: int) -> int:
        if item == 1:
            raise ValueError("item 1")
        return item

    with prefetch(range(3), make, has_thread=has_thread) as made:
        assert next(made) == 0
        with pytest.raises(ValueError, match="item 1"):
            next(made)
