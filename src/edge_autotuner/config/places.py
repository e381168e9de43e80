"""Lines and zones of a camera, as settings give them: fractions of width and height."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated

from pydantic import AfterValidator, Field

Share = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Share, Share]

_MIN_AREA = 1e-5  # of the picture: 7x7 pixels of 4 megapixels


def _checked_zone(corners: tuple[Point, ...]) -> tuple[Point, ...]:
    """Refuse a zone in which nothing, or only a part of what is drawn, would be counted."""
    sides = [(corners[i - 1], corner) for i, corner in enumerate(corners)]
    if abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in sides)) / 2 < _MIN_AREA:
        raise ValueError("encloses no area; give three or more corners, in order around the zone")
    for one, other in combinations(sides, 2):
        if _cross(one, other):
            raise ValueError(
                f"the border crosses itself beside {list(one[1])}; give the corners in order around the zone"
            )
    return corners


def _cross(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """Whether two sides cross; sides that only touch do not."""
    return _turn(*one, other[0]) * _turn(*one, other[1]) < 0 and _turn(*other, one[0]) * _turn(*other, one[1]) < 0


def _turn(start: Point, end: Point, point: Point) -> float:
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


LineEnds = tuple[Point, Point]
ZoneCorners = Annotated[tuple[Point, ...], Field(min_length=3, max_length=100), AfterValidator(_checked_zone)]
