"""Buildings, trees and posts of the backdrop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from edge_autotuner.core.types import ImageArray
from edge_autotuner.simulation.world.camera import PinholeCamera, clipped_polygon
from edge_autotuner.simulation.world.conditions import STEPS, Foliage, Season
from edge_autotuner.simulation.world.exact import Draws, cosine, sine
from edge_autotuner.simulation.world.layouts import Building, Ground, Post, Tree
from edge_autotuner.simulation.world.sprite import (
    DEPRESSION_BINS,
    Canvas,
    Colour,
    Point3,
    Sprite,
    View,
    scale_number,
    shaded,
)

_LEAVES: dict[Season, Colour] = {
    "spring": (70, 160, 110), "summer": (52, 104, 70), "autumn": (40, 104, 176), "winter": (70, 82, 92),
}  # fmt: skip
_FACADES: tuple[Colour, ...] = (
    (176, 196, 210), (150, 164, 176), (124, 150, 186), (186, 190, 192), (138, 170, 196), (112, 124, 150),
)  # fmt: skip
_PANE: Colour = (92, 84, 76)
_LIT_PANE: Colour = (70, 130, 165)


@dataclass(frozen=True, eq=False)
class Prop:
    """A tree or post, which covers what passes behind it.

    Attributes:
        sprite: its picture by day.
        xy: pixel of the place that it stands on.
        depth_m: distance.
    """

    sprite: Sprite
    xy: tuple[int, int]
    depth_m: float


def paint_building_in_place(
    image: ImageArray, distance: npt.NDArray[np.float32], glow: ImageArray, camera: PinholeCamera, building: Building,
    snow: int,
) -> None:  # fmt: skip
    """Draw a building into the picture, its distance and what shines of it at night."""
    draws, high = Draws(31, building.number), building.height_m
    facade = draws.choice(_FACADES)
    depth = float(camera.depth_of(*middle_of(building.corners)))

    def fill(points: Sequence[Point3], colour: Colour, light: Colour = (0, 0, 0)) -> None:
        seen = clipped_polygon(camera, list(points))
        if len(seen) >= 3:
            fixed = fixed_points(camera, seen, 1)
            cv2.fillConvexPoly(image, fixed, colour, cv2.LINE_8, 4)
            cv2.fillConvexPoly(distance, fixed, depth, cv2.LINE_8, 4)
            cv2.fillConvexPoly(glow, fixed, light, cv2.LINE_8, 4)

    if camera.height_m > high:
        roof = (210, 206, 204) if snow > STEPS // 4 else (92, 94, 98)
        fill([(x, y, high) for x, y in building.corners], roof)
    for number, end in enumerate(building.corners):
        wall = _Wall(building.corners[number - 1], end, high)
        if wall.is_seen:
            _fill_wall(fill, wall, facade, draws)


class _Fill(Protocol):
    """Fills a polygon with a colour, and with the light that shines from it at night."""

    def __call__(self, points: Sequence[Point3], colour: Colour, light: Colour = ...) -> None: ...


@dataclass(frozen=True)
class _Wall:
    start: Ground
    end: Ground
    height_m: float

    @property
    def is_seen(self) -> bool:
        """Whether the camera, over the origin, is on its outer side."""
        return self.start[0] * self.end[1] - self.end[0] * self.start[1] > 0

    @cached_property
    def length_m(self) -> float:
        return distance_to((self.end[0] - self.start[0], self.end[1] - self.start[1]))

    def rectangle(self, along: tuple[float, float], up: tuple[float, float]) -> list[Point3]:
        """Return the corners of a part of it, metres from its start and from the ground."""
        (left, right), (low, top) = along, up
        return [self._at(left, low), self._at(right, low), self._at(right, top), self._at(left, top)]

    def _at(self, along: float, z: float) -> Point3:
        share = along / self.length_m
        (x0, y0), (x1, y1) = self.start, self.end
        return x0 + share * (x1 - x0), y0 + share * (y1 - y0), z


def _fill_wall(fill: _Fill, wall: _Wall, facade: Colour, draws: Draws) -> None:
    bright = 0.82 + 0.2 * abs(wall.end[0] - wall.start[0]) / wall.length_m
    fill(wall.rectangle((0, wall.length_m), (0, wall.height_m)), shaded(facade, bright))
    fill(wall.rectangle((0, wall.length_m), (0, 0.5)), shaded(facade, 0.7 * bright))
    n_columns = max(1, int(wall.length_m / 2.6))
    for row in range(max(1, int(wall.height_m / 3.0))):
        for column in range(n_columns):
            is_lit = draws.unit() < 0.3
            pane = shaded(_PANE, draws.between(0.7, 1.5))
            left = (column + 0.5) * wall.length_m / n_columns - 0.65
            low = row * 3.0 + 1.0
            top = min(low + 1.5, wall.height_m - 0.3)
            frame = wall.rectangle((left - 0.1, left + 1.4), (low - 0.1, top + 0.1))
            fill(frame, shaded(facade, 1.12 * bright))
            fill(wall.rectangle((left, left + 1.3), (low, top)), pane, _LIT_PANE if is_lit else (0, 0, 0))


def _place_of(camera: PinholeCamera, place: Ground) -> tuple[tuple[int, int], View, float]:
    depth = camera.depth_of(*place)
    x, y = camera.project(*place)
    _, depression = camera.view_angles(*place)
    view = View(0, int(depression * DEPRESSION_BINS + 0.5), scale_number(camera.focal_px / depth))
    return (int(x // 1), int(y // 1)), view, depth


def tree_prop(camera: PinholeCamera, tree: Tree, foliage: Foliage, snow: int) -> Prop:
    """Draw a tree."""
    xy, view, depth = _place_of(camera, tree.place)
    high = tree.height_m
    canvas = Canvas(view, 0.27 * high * 1.5, high * 1.1)
    canvas.hull([((0, 0, 0.0), 0.16), ((0, 0, 0.55 * high), 0.1)], (52, 66, 80))
    bare = foliage.share_of("winter")  # leaves fall one after the other, and branches show
    leaves = (225, 222, 220) if snow > STEPS // 2 else foliage.colour(_LEAVES)
    _draw_branches(canvas, tree, 26 * bare // STEPS, shaded(leaves, 0.8))
    _draw_leaves(canvas, tree, 120 * (STEPS - bare) // STEPS, leaves)
    return Prop(canvas.finish(), xy, depth)


def _in_crown(tree: Tree, draws: Draws) -> tuple[Point3, float]:
    """Return a place in the crown, and how high it is in it, -1 to 1."""
    turn, out = draws.unit(), math.sqrt(draws.unit())
    up = draws.between(-1.0, 1.0)
    wide = 0.27 * tree.height_m * out * (1 - 0.5 * up * up)
    return (wide * sine(turn), wide * cosine(turn), (0.66 + 0.3 * up) * tree.height_m), up


def _draw_branches(canvas: Canvas, tree: Tree, n: int, colour: Colour) -> None:
    draws = Draws(32, tree.number, 1)
    for _ in range(n):
        end, _ = _in_crown(tree, draws)
        canvas.line([(0, 0, 0.45 * tree.height_m), end], colour, 0.05)


def _draw_leaves(canvas: Canvas, tree: Tree, n: int, colour: Colour) -> None:
    draws = Draws(32, tree.number)
    for number in range(n):
        centre, up = _in_crown(tree, draws)
        gain = 0.62 + 0.36 * (up + 1) / 2 + 0.22 * number / 120
        canvas.hull([(centre, 0.27 * tree.height_m * draws.between(0.14, 0.3))], shaded(colour, gain))


def post_prop(camera: PinholeCamera, post: Post) -> Prop:
    """Draw a lamp post or a barrier."""
    xy, view, depth = _place_of(camera, post.place)
    high = post.height_m
    canvas = Canvas(view, 1.6, high + 0.3)
    if post.is_lamp:
        canvas.line([(0, 0, 0), (0, 0, high)], (96, 98, 100), 0.14)
        canvas.line([(0, 0, high), (-1.2, 0, high + 0.1)], (96, 98, 100), 0.1)
        canvas.hull([((-0.9, 0, high + 0.05), 0.1), ((-1.35, 0, high + 0.1), 0.08)], (178, 180, 180))
    else:
        for n in range(6):
            colour = (60, 60, 215) if n % 2 else (225, 228, 230)
            b0, b1 = -0.9 + 0.3 * n, -0.6 + 0.3 * n
            canvas.polygon([(0, b0, 0.72 * high), (0, b1, 0.72 * high), (0, b1, high), (0, b0, high)], colour)
        for b in (-0.8, 0.8):
            canvas.line([(0, b, 0), (0, b, high)], (200, 200, 205), 0.06)
    return Prop(canvas.finish(), xy, depth)


def fixed_points(camera: PinholeCamera, points: list[tuple[float, float, float]], n_sub: int) -> npt.NDArray[np.int32]:
    """Return projected points in OpenCV's fixed-point coordinates, for a picture enlarged `n_sub` times."""
    flat = [camera.project(*point) for point in points]
    limit = 1 << 24
    return np.array([[max(-limit, min(limit, int(v * 16 * n_sub // 1) - 8)) for v in xy] for xy in flat], np.int32)


def distance_to(place: Ground) -> float:
    """Return the distance of a place on the ground from the origin, metres."""
    return math.sqrt(place[0] * place[0] + place[1] * place[1])


def middle_of(corners: tuple[Ground, ...]) -> Ground:
    """Return the mean of some places."""
    return math.fsum(x for x, _ in corners) / len(corners), math.fsum(y for _, y in corners) / len(corners)
