"""What counts as new: the same thing is not sent twice, and the next thing at its place is."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.selection.sent_memory import SentMemory
from support.cameras.selection_samples import THRESHOLD, Square, frame_at, motion_of

PARKED = Square(30)
NOBODY: tuple[Square, ...] = ()


def _memory(min_change_fraction: float = 0.25) -> SentMemory:
    return SentMemory(threshold=THRESHOLD, min_change_fraction=min_change_fraction)


def _new(
    scenes: list[tuple[Square, ...]], *, gap_s: float = 0.1, send: bool = True, memory: SentMemory | None = None
) -> list[list[bool]]:
    """Return for each scene which of its regions are new, when everything new is sent at once."""
    memory = memory or _memory()
    answers = []
    for index, squares in enumerate(scenes):
        frame, motion = frame_at(index, index * gap_s, *squares), motion_of(*squares)
        memory.see(frame, motion, frame.time_s)
        is_new = memory.find_new(frame, motion)
        if send:
            memory.paste(frame, motion, motion.regions_xyxy[is_new])
        answers.append(is_new.tolist())
    return answers


def test_nothing_sent_means_all_is_new() -> None:
    assert _new([(PARKED, Square(60))] * 3, send=False) == [[True, True]] * 3


def test_a_still_object_is_sent_once_whatever_is_sent_in_between() -> None:
    passing = [(PARKED, Square(50 + 4 * step)) for step in range(8)]
    answers = _new([(PARKED,), *passing, *[(PARKED,)] * 30])
    assert [answer[0] for answer in answers] == [True] + [False] * 38
    assert all(answer[1] for answer in answers[1:9])


def test_somebody_passing_in_front_does_not_make_a_parked_car_new() -> None:
    car, person = Square(30, side=20, grey=160), Square(34, side=16, grey=230)
    assert _new([(car,), (car, person), (car,)]) == [[True], [True, True], [False]]


def test_somebody_standing_in_front_may_be_sent_again_and_again() -> None:
    memory = _memory()
    car, person = Square(30, side=20, grey=160), Square(34, side=16, grey=230)
    for index, squares in enumerate([(car,), (car, person), (car, person), (car, person)]):
        frame, motion = frame_at(index, None, *squares), motion_of(*squares)
        memory.see(frame, motion, frame.time_s)
        memory.paste(frame, motion, motion.regions_xyxy[:1])
    assert memory.find_new(frame, motion_of(car)).tolist() == [False]


def test_looks_before_the_place_was_empty_do_not_count() -> None:
    first, second = Square(30, grey=200), Square(30, grey=150)
    assert _new([(first,), *[NOBODY] * 10, (second,), (first,)])[-2:] == [[True], [True]]


@pytest.mark.parametrize(
    ("n_away", "gap_s", "is_new"),
    [
        pytest.param(1, 0.1, False, id="flicker of one frame at 10 Hz"),
        pytest.param(8, 0.1, False, id="away for 0.9 s"),
        pytest.param(9, 0.1, True, id="away for a second at 10 Hz"),
        pytest.param(24, 0.04, True, id="away for a second at 25 Hz"),
        pytest.param(23, 0.04, False, id="almost"),
        pytest.param(0, 1.0, False, id="single pictures, there in each"),
        pytest.param(1, 1.0, True, id="single pictures, missing in one"),
        pytest.param(0, 600.0, False, id="the stream broke for ten minutes"),
        pytest.param(1, 600.0, True, id="one frame every ten minutes, missing in one"),
    ],
)
def test_the_next_object_at_a_place_is_new_when_the_place_was_empty(n_away: int, gap_s: float, is_new: bool) -> None:
    answers = _new([(PARKED,), (PARKED,), *[NOBODY] * n_away, (PARKED,)], gap_s=gap_s)
    assert answers[:2] == [[True], [False]]
    assert answers[-1] == [is_new]


def test_a_place_becomes_empty_also_while_something_moves_elsewhere() -> None:
    others = [(Square(60 + step % 3),) for step in range(15)]
    assert _new([(PARKED,), *others, (PARKED,)])[-1] == [True]


def test_a_flickering_rim_is_not_new() -> None:
    rim = [(Square(30, 20, 10),), *[(Square(32, 22, 6),)] * 20, (Square(30, 20, 10),)]
    assert _new(rim)[-1] == [False]


@pytest.mark.parametrize(("difference", "is_new"), [(THRESHOLD - 1, False), (THRESHOLD, True), (-THRESHOLD, True)])
def test_another_object_at_once_is_new_if_it_looks_different(difference: int, is_new: bool) -> None:
    assert _new([(PARKED,), (Square(30, grey=200 + difference),)])[-1] == [is_new]


@pytest.mark.parametrize(("moved_px", "is_new"), [(0, False), (2, False), (3, True), (10, True)])
def test_a_quarter_of_the_changed_pixels_must_be_new(moved_px: int, is_new: bool) -> None:
    assert _new([(PARKED,), (Square(30 + moved_px),)])[-1] == [is_new]


def test_slow_movement_adds_up() -> None:
    answers = _new([(Square(30 + step),) for step in range(7)])
    assert [answer[0] for answer in answers] == [True, False, False, True, False, False, True]


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_no_region_is_new_without_a_changed_pixel(fraction: float) -> None:
    memory, frame, motion = _memory(fraction), frame_at(0), motion_of(PARKED)
    motion.mask[:] = False
    memory.see(frame, motion, 0.0)
    assert memory.find_new(frame, motion).tolist() == [False]


def test_fraction_zero_makes_all_motion_new() -> None:
    assert _new([(PARKED,)] * 3, memory=_memory(0.0)) == [[True]] * 3


def test_no_regions() -> None:
    assert _new([NOBODY, NOBODY]) == [[], []]


def test_another_frame_size_forgets() -> None:
    memory = _memory()
    _new([(PARKED,)], memory=memory)
    larger = {"size_wh": (120, 80)}
    frame, motion = frame_at(1, None, PARKED, **larger), motion_of(PARKED, **larger)  # type: ignore[arg-type]
    memory.see(frame, motion, frame.time_s)
    assert memory.find_new(frame, motion).tolist() == [True]
    memory.paste(frame_at(0, None, PARKED), motion_of(PARKED), motion.regions_xyxy)  # held since before the change
    assert memory.find_new(frame, motion).tolist() == [True]
    memory.paste(frame, motion, motion.regions_xyxy)
    assert memory.find_new(frame, motion).tolist() == [False]


def test_regions_of_a_frame_larger_than_the_working_size() -> None:
    memory, motion = _memory(), motion_of(PARKED, Square(60))
    frame = frame_at(0, size_wh=(960, 640))
    motion.regions_xyxy[:] = motion.regions_xyxy * 10 + np.float32(3)  # touches further working pixels
    memory.see(frame, motion, 0.0)
    memory.paste(frame, motion, motion.regions_xyxy[:1])
    assert memory.find_new(frame, motion).tolist() == [False, True]


def test_arguments_are_neither_kept_nor_changed() -> None:
    memory, frame, motion = _memory(), frame_at(0, None, PARKED), motion_of(PARKED)
    memory.see(frame, motion, 0.0)
    memory.paste(frame, motion, motion.regions_xyxy)
    motion.blurred_luma[:] = 0  # whoever kept the array now sees black
    again = motion_of(PARKED)
    copies = [array.copy() for array in (again.mask, again.blurred_luma, again.regions_xyxy)]
    assert memory.find_new(frame, again).tolist() == [False]
    for array, copy in zip((again.mask, again.blurred_luma, again.regions_xyxy), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
