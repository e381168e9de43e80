"""Objects are followed while it is clear where they must be, and no longer."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.annotation.tracks import Track, can_link_after, link_boxes
from edge_autotuner.core import Detections

SURE = 0.3
Row = tuple[float, float, float, float, float, int]


def frame(*rows: Row) -> Detections:
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def walker(x: float, *, y: float = 50, score: float = 0.9, class_id: int = 0) -> Row:
    """Return somebody 20 px wide and 40 px high whose left side is at x."""
    return x, y, x + 20, y + 40, score, class_id


def followed(times_s: list[float], frames: list[Detections]) -> list[list[tuple[int, int]]]:
    tracks = link_boxes(times_s, frames, sure_score=SURE)
    return [list(zip(track.frames.tolist(), track.boxes.tolist(), strict=True)) for track in tracks]


def test_two_walkers_keep_their_tracks_when_the_boxes_change_places() -> None:
    frames = [frame(walker(5 * i), walker(300 - 5 * i)) for i in range(3)]
    frames.append(frame(walker(285), walker(15)))
    assert followed([0, 0.1, 0.2, 0.3], frames) == [[(0, 0), (1, 0), (2, 0), (3, 1)], [(0, 1), (1, 1), (2, 1), (3, 0)]]


def test_velocity_bridges_a_gap_in_which_the_boxes_no_longer_overlap() -> None:
    """At 60 px/s and after 0.4 s the walker is 24 px further: beyond its own width."""
    seen = [frame(walker(6.0 * i)) for i in range(6)]
    away = [frame()] * 3
    again = [frame(walker(6.0 * 9))]
    times = [i / 10 for i in range(10)]
    assert followed(times, seen + away + again) == [[(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (9, 0)]]
    stranger = [frame(walker(30.0))]  # stands where the walker was seen last
    assert len(followed(times, seen + away + stranger)) == 2


@pytest.mark.parametrize(("gap_s", "linked"), [(0.1, True), (0.4, True), (0.6, False), (3.0, False)])
def test_nothing_is_linked_over_a_gap_in_which_it_could_have_gone_anywhere(gap_s: float, linked: bool) -> None:
    frames = [frame(walker(0)), frame(walker(0))]
    assert len(followed([0, gap_s], frames)) == (1 if linked else 2)
    assert can_link_after(gap_s) is linked


@pytest.mark.parametrize("second_s", [0.0, -1.0])
def test_tracks_end_where_time_does_not_go_forward(second_s: float) -> None:
    assert len(followed([0, second_s], [frame(walker(0)), frame(walker(0))])) == 2
    assert not can_link_after(second_s)


def test_sure_boxes_choose_first() -> None:
    """An unsure box lies better on the old place, but the sure one is the object."""
    frames = [frame(walker(0)), frame(walker(1, score=0.2), walker(4, score=0.8))]
    assert followed([0, 0.1], frames) == [[(0, 0), (1, 1)], [(1, 0)]]
    both_sure = [frame(walker(0)), frame(walker(1, score=0.7), walker(4, score=0.8))]
    assert followed([0, 0.1], both_sure) == [[(0, 0), (1, 0)], [(1, 1)]]


def test_unsure_boxes_continue_a_track() -> None:
    frames = [frame(walker(0)), frame(walker(2, score=0.15)), frame(walker(4))]
    assert followed([0, 0.1, 0.2], frames) == [[(0, 0), (1, 0), (2, 0)]]


@pytest.mark.parametrize(("shift", "linked"), [(2, True), (8, False)])
def test_another_class_needs_more_overlap(shift: float, linked: bool) -> None:
    """Shifted by 2 of 20 px two boxes overlap by 18 / 22, shifted by 8 by 12 / 28."""
    other = [frame(walker(0, class_id=0)), frame(walker(shift, class_id=1))]
    same = [frame(walker(0, class_id=0)), frame(walker(shift, class_id=0))]
    assert len(followed([0, 0.1], other)) == (1 if linked else 2)
    assert len(followed([0, 0.1], same)) == 1


@pytest.mark.parametrize("frames", [[], [frame()], [frame(), frame()]])
def test_nothing_to_follow(frames: list[Detections]) -> None:
    assert link_boxes([i / 10 for i in range(len(frames))], frames, sure_score=SURE) == []


def test_length_of_a_track() -> None:
    assert len(Track(np.array([3, 4]), np.array([0, 1]))) == 2
