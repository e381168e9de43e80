"""Lines and zones."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.core.types import SizeWH
from edge_autotuner.tracking.places import GroundPoint, Line, Zone

SIZE: SizeWH = (1000, 500)
UPWARD = ((0.5, 0.9), (0.5, 0.1))  # from (500, 450) to (500, 50)
LAWN = ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))


def at(x: float, y: float, height: float = 50) -> GroundPoint:
    return GroundPoint.of([x - 10, y - height, x + 10, y])


def cross(line: Line, *points: tuple[float, float]) -> list[str | None]:
    return [line.cross(1, at(*point), SIZE) for point in points]


def test_an_object_stands_at_the_middle_of_its_lower_side() -> None:
    assert GroundPoint.of([10, 20, 30, 80]) == GroundPoint((20, 80), 60)


def test_from_left_to_right_of_the_direction_is_in() -> None:
    line = Line(UPWARD)
    assert cross(line, (400, 300), (450, 300), (550, 300), (600, 300)) == [None, None, "in", None]
    assert cross(line, (400, 300)) == ["out"]


def test_the_other_order_of_the_ends_is_the_other_direction() -> None:
    line = Line((UPWARD[1], UPWARD[0]))
    assert cross(line, (400, 300), (600, 300)) == [None, "out"]


def test_a_trembling_box_on_the_line_counts_once() -> None:
    line = Line(UPWARD)
    crossed = cross(line, (400, 300), *[(500 + 2 * (-1) ** i, 300) for i in range(20)], (600, 300))
    assert [one for one in crossed if one] == ["in"]


def test_passing_beyond_the_ends_is_no_crossing() -> None:
    assert cross(Line(UPWARD), (400, 480), (600, 480)) == [None, None]


def test_a_jump_over_the_line_counts() -> None:
    assert cross(Line(UPWARD), (10, 300), (990, 300)) == [None, "in"]


def test_objects_do_not_share_their_sides() -> None:
    line = Line(UPWARD)
    line.cross(1, at(400, 300), SIZE)
    assert line.cross(2, at(600, 300), SIZE) is None
    line.forget(1)
    assert line.cross(1, at(600, 300), SIZE) is None


def test_an_object_enters_and_exits_a_zone() -> None:
    zone = Zone(LAWN)
    moves = [zone.move(7, at(x, 250), SIZE) for x in (100, 195, 205, 201, 300, 700, 900)]
    assert moves == [None, None, "entered", None, None, None, "exited"]


def test_an_object_that_is_gone_is_no_longer_inside() -> None:
    zone = Zone(LAWN)
    zone.move(7, at(500, 250), SIZE)
    assert zone.inside == {7}
    assert zone.forget(7)
    assert not zone.forget(7)
    assert zone.inside == frozenset()


@pytest.mark.parametrize("seed", range(5))
def test_crossings_add_up_to_where_the_object_is(seed: int) -> None:
    """Ins less outs of a line from edge to edge say on which side an object is, however it walked."""
    line = Line(((0.5, 1.0), (0.5, 0.0)))
    rng = np.random.default_rng(seed)
    x = np.clip(200 + np.cumsum(rng.normal(0, 60, 300)), 5, 995)
    x[-1] = 990 if rng.random() < 0.5 else 10
    crossed = cross(line, (200, 250), *[(float(value), 250) for value in x])
    assert crossed.count("in") - crossed.count("out") == int(x[-1] > 500)
