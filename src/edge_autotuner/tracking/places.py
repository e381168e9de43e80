"""Lines that objects cross and zones that they are in, by the point where they touch the ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from edge_autotuner.core.types import SizeWH

Point = tuple[float, float]
Direction = Literal["in", "out"]

_MARGIN = 0.05
"""Part of an object's height by which it must be beyond a border: boxes tremble."""


@dataclass(frozen=True)
class GroundPoint:
    """Where an object touches the ground, and how high it is, in pixels of the frame."""

    xy: Point
    height: float

    @classmethod
    def of(cls, box_xyxy: Sequence[float]) -> GroundPoint:
        """Return the middle of the lower side of a box."""
        left, top, right, bottom = box_xyxy
        return cls(((left + right) / 2, bottom), max(bottom - top, 1.0))


class Line:
    """One line of a camera.

    Args:
        ends: two points, as shares of width and height.
    """

    def __init__(self, ends: tuple[Point, Point]) -> None:
        self._ends = ends
        self._sides: dict[int, tuple[int, Point]] = {}  # of each object: the last clear side, and where it was then

    def cross(self, object_id: int, at: GroundPoint, size_wh: SizeWH) -> Direction | None:
        """Take an object's new place into account; return in which direction it crossed the line just now, if it did.

        Seen from the first end to the second, `in` is from the left side to the right side.
        """
        start, end = (_scaled(point, size_wh) for point in self._ends)
        offset = _turn(start, end, at.xy) / max(np.hypot(end[0] - start[0], end[1] - start[1]), 1e-9)
        if abs(offset) < _MARGIN * at.height:
            return None
        side = 1 if offset > 0 else -1
        before = self._sides.get(object_id)
        self._sides[object_id] = side, at.xy
        if before is None or before[0] == side or not _meets(before[1], at.xy, start, end):
            return None
        return "in" if side > 0 else "out"

    def forget(self, object_id: int) -> None:
        """Drop what is known of an object that has left."""
        self._sides.pop(object_id, None)


class Zone:
    """One zone of a camera.

    Args:
        corners: three or more points, as shares of width and height.
    """

    def __init__(self, corners: Sequence[Point]) -> None:
        self._corners = tuple(corners)
        self._inside: set[int] = set()

    def move(self, object_id: int, at: GroundPoint, size_wh: SizeWH) -> Literal["entered", "exited"] | None:
        """Take an object's new place into account; return what it did just now, if anything."""
        outline = np.array([_scaled(corner, size_wh) for corner in self._corners], np.float32)
        depth = cv2.pointPolygonTest(outline, at.xy, measureDist=True)
        if abs(depth) < _MARGIN * at.height or (depth > 0) == (object_id in self._inside):
            return None
        if depth < 0:
            self._inside.discard(object_id)
            return "exited"
        self._inside.add(object_id)
        return "entered"

    def forget(self, object_id: int) -> bool:
        """Drop an object that has left the picture; return whether it was inside."""
        was_inside = object_id in self._inside
        self._inside.discard(object_id)
        return was_inside

    @property
    def inside(self) -> frozenset[int]:
        """The objects in it."""
        return frozenset(self._inside)


def open_places(
    lines: Mapping[str, tuple[Point, Point]], zones: Mapping[str, Sequence[Point]]
) -> tuple[dict[str, Line], dict[str, Zone]]:
    """Return the lines and zones of a camera by name."""
    return {name: Line(ends) for name, ends in lines.items()}, {name: Zone(corners) for name, corners in zones.items()}


def _scaled(point: Point, size_wh: SizeWH) -> Point:
    return point[0] * size_wh[0], point[1] * size_wh[1]


def _turn(start: Point, end: Point, point: Point) -> float:
    """Return twice the area of a triangle: positive where the point is right of the way, as pictures show it."""
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def _meets(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the way from a to b meets the segment from c to d; b is on the other side of its line than a."""
    return _turn(a, b, c) * _turn(a, b, d) <= 0
