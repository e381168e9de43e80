"""Time slots."""

from __future__ import annotations

from itertools import pairwise

import pytest

from edge_autotuner.capture.selection.budget import TimeSlots


def _starts(times_s: list[float], *, n_left: int, part_end_s: float, shortest_s: float = 0.0) -> list[float]:
    """Return the times that begin a slot, when nothing is selected."""
    slots, starts = TimeSlots(shortest_s=shortest_s), []
    for time_s in times_s:
        if slots.is_over(time_s):
            starts.append(time_s)
            slots.begin_next(time_s, n_left=n_left, part_end_s=part_end_s)
    return starts


def test_the_first_frame_begins_a_slot() -> None:
    assert TimeSlots(shortest_s=0).is_over(0.0)
    assert TimeSlots(shortest_s=0).is_over(-5.0)


def test_equal_slots_when_each_gives_a_frame() -> None:
    slots, starts, n_left = TimeSlots(shortest_s=0), [], 5
    for time_s in range(20):
        if slots.is_over(time_s):
            n_left -= bool(starts)  # the frame of the slot before
            starts.append(time_s)
            slots.begin_next(time_s, n_left=n_left, part_end_s=20)
    assert starts == [0, 4, 8, 12, 16]


def test_slots_that_give_nothing_make_the_next_ones_shorter() -> None:
    starts = _starts([float(time_s) for time_s in range(90)], n_left=3, part_end_s=90)
    lengths = [b - a for a, b in pairwise(starts)]
    assert lengths[0] == 30
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] == 1


def test_shortest_slot() -> None:
    assert _starts([0, 1, 2, 3, 4, 5, 6], n_left=100, part_end_s=7, shortest_s=3) == [0, 3, 6]


def test_a_slot_begins_where_the_last_one_ended() -> None:
    slots = TimeSlots(shortest_s=10)
    slots.begin_next(0, n_left=1, part_end_s=0)
    slots.begin_next(14, n_left=1, part_end_s=0)
    assert slots.length_s == 10
    assert not slots.is_over(19.9)
    assert slots.is_over(20)


def test_after_a_long_break_a_slot_begins_with_the_frame() -> None:
    slots = TimeSlots(shortest_s=10)
    slots.begin_next(0, n_left=1, part_end_s=0)
    slots.begin_next(35, n_left=1, part_end_s=0)
    assert not slots.is_over(44.9)
    assert slots.is_over(45)


@pytest.mark.parametrize("n_left", [0, 1, 1000])
def test_after_the_part_every_frame_is_a_slot(n_left: int) -> None:
    assert _starts([10, 11, 12], n_left=n_left, part_end_s=5) == [10, 11, 12]
