"""Pictures of things, drawn once per view and size: a small canvas in metres, the picture, and a bounded cache.

A thing is drawn without perspective of its own (all its points at one scale) in 4 or 2 times the size and averaged
down by OpenCV's integer area filter, so that its edges are smooth and its pixels exact.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from edge_autotuner.core.types import BoolArray, ImageArray
from edge_autotuner.simulation.world.exact import cosine, halved, sine

Point3 = tuple[float, float, float]
"""Forward, left, up of a thing; metres from the place on the ground that it stands on."""
Colour = tuple[int, int, int]
"""Blue, green, red."""

YAW_BINS, DEPRESSION_BINS = 64, 72  # of a turn
_SCALE_STEP = 1.03
_SMALL_PX = 40  # things below this height are drawn in four times their size, others in twice
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates
_CACHE_BYTES = 64_000_000
_CIRCLE = np.array([(cosine(n / 10), sine(n / 10)) for n in range(10)])


def _scale_table() -> tuple[float, ...]:
    scales = [0.5]
    while scales[-1] < 400:
        scales.append(scales[-1] * _SCALE_STEP)
    return tuple(scales)


SCALES = _scale_table()
"""Pixels per metre of the sizes in which things are drawn."""


def scale_number(px_per_m: float) -> int:
    """Return the position in `SCALES` of the largest size that is not larger."""
    return max(0, bisect_right(SCALES, px_per_m) - 1)


@dataclass(frozen=True)
class View:
    """From where a thing is looked at, and how large it gets.

    Attributes:
        yaw: heading of the thing against the line of sight, in `YAW_BINS` of a turn; 0 goes away from the camera, a
            quarter turn goes to the right.
        depression: how far the camera looks down on it, in `DEPRESSION_BINS` of a turn.
        scale: position in `SCALES`.
    """

    yaw: int
    depression: int
    scale: int

    @cached_property
    def px_per_m(self) -> float:
        """Size."""
        return SCALES[self.scale]

    @cached_property
    def angles(self) -> tuple[float, float, float, float]:
        """Sine and cosine of yaw, sine and cosine of depression."""
        yaw, depression = self.yaw / YAW_BINS, self.depression / DEPRESSION_BINS
        return sine(yaw), cosine(yaw), sine(depression), cosine(depression)

    def flat(self, points: Iterable[Point3]) -> list[tuple[float, float]]:
        """Return where points are seen, pixels to the right and down of the place on the ground."""
        sin_yaw, cos_yaw, sin_down, cos_down = self.angles
        scale = self.px_per_m
        return [
            (
                scale * (forward * sin_yaw - left * cos_yaw),
                -scale * (up * cos_down + (forward * cos_yaw + left * sin_yaw) * sin_down),
            )
            for forward, left, up in points
        ]

    def distance(self, point: Point3) -> float:
        """Return how much further than the place on the ground a point is, metres."""
        sin_yaw, cos_yaw, sin_down, cos_down = self.angles
        return (point[0] * cos_yaw + point[1] * sin_yaw) * cos_down - point[2] * sin_down


@dataclass(frozen=True, eq=False)
class Sprite:
    """A finished picture.

    Attributes:
        image_bgr: (h, w, 3) uint8, colours times opacity.
        clear: (h, w, 3) uint8, 0 opaque to 128 nothing; three times the same.
        anchor: column and row of the place on the ground.
    """

    image_bgr: ImageArray
    clear: ImageArray
    anchor: tuple[int, int]

    @cached_property
    def solid(self) -> BoolArray:
        """(h, w): where the picture is more opaque than transparent."""
        return np.asarray(self.clear[..., 0] < 64)

    @cached_property
    def extent(self) -> tuple[int, int, int, int] | None:
        """Corners of the solid part, relative to the anchor; None if nothing is solid."""
        rows, columns = np.flatnonzero(self.solid.any(1)), np.flatnonzero(self.solid.any(0))
        if not len(rows):
            return None
        (ax, ay) = self.anchor
        return int(columns[0]) - ax, int(rows[0]) - ay, int(columns[-1]) + 1 - ax, int(rows[-1]) + 1 - ay


class Canvas:
    """Draws a thing in metres; later strokes cover earlier ones."""

    def __init__(self, view: View, half_wide_m: float, high_m: float) -> None:
        """Make room for a thing that fits into a cylinder.

        Args:
            view: from where it is seen.
            half_wide_m: radius around the place on the ground.
            high_m: its height.
        """
        scale, (_, _, sin_down, cos_down) = view.px_per_m, view.angles
        self.view = view
        self.n_sub = 4 if scale * high_m < _SMALL_PX else 2
        half = int(scale * half_wide_m) + 2
        below = int(scale * half_wide_m * sin_down) + 2
        above = int(scale * (high_m * cos_down + half_wide_m * sin_down)) + 2
        self.anchor = half, above
        shape = ((above + below) * self.n_sub, 2 * half * self.n_sub, 4)
        self.pixels: ImageArray = np.zeros(shape, np.uint8)
        self._unit = self.n_sub * (1 << _SHIFT)
        half_px = 0.5 / self.n_sub  # the middle of the first pixel is at half a pixel
        self._offset_px = half - half_px, above - half_px

    def _fixed(self, points: Sequence[Point3]) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
        (dx, dy), unit = self._offset_px, self._unit
        return np.array([(int((x + dx) * unit), int((y + dy) * unit)) for x, y in self.view.flat(points)], np.int32)

    def polygon(self, points: Sequence[Point3], colour: Colour) -> None:
        """Fill a convex polygon."""
        cv2.fillConvexPoly(self.pixels, self._fixed(points), (*colour, 255), cv2.LINE_8, _SHIFT)

    def hull(
        self, balls: Sequence[tuple[Point3, float]], colour: Colour, *, shift_px: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        """Fill the outline around some balls, each a centre and a radius in metres."""
        flat, scale = self.view.flat(centre for centre, _ in balls), self.view.px_per_m
        dx, dy = self._offset_px[0] + shift_px[0], self._offset_px[1] + shift_px[1]
        centres = [((x + dx) * self._unit, (y + dy) * self._unit) for x, y in flat]
        radii = np.array([radius * scale * self._unit for _, radius in balls])
        points = np.array(centres)[:, None] + radii[:, None, None] * _CIRCLE
        outline = cv2.convexHull(np.floor(points).astype(np.int32).reshape(-1, 2))
        cv2.fillConvexPoly(self.pixels, outline, (*colour, 255), cv2.LINE_8, _SHIFT)

    def line(self, points: Sequence[Point3], colour: Colour, width_m: float, *, closed: bool = False) -> None:
        """Draw a line through points."""
        thickness = max(1, int(width_m * self.view.px_per_m * self.n_sub + 0.5))
        cv2.polylines(self.pixels, [self._fixed(points)], closed, (*colour, 255), thickness, cv2.LINE_8, _SHIFT)

    def finish(self) -> Sprite:
        """Average the strokes down to the picture."""
        small = halved(self.pixels) if self.n_sub == 2 else halved(halved(self.pixels))
        alpha = small[..., 3].astype(np.uint16)
        clear = np.asarray(128 - (alpha * 128 + 127) // 255, np.uint8)
        rows, columns = np.flatnonzero((clear < 128).any(1)), np.flatnonzero((clear < 128).any(0))
        top, bottom = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 1)
        left, right = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, 1)
        return Sprite(
            np.ascontiguousarray(small[top:bottom, left:right, :3]),
            np.ascontiguousarray(np.repeat(clear[top:bottom, left:right, None], 3, axis=2)),
            (self.anchor[0] - left, self.anchor[1] - top),
        )


class SpriteCache:
    """Keeps the pictures used last, up to a number of bytes; a picture follows from its key alone."""

    def __init__(self, max_bytes: int = _CACHE_BYTES) -> None:
        self._max_bytes, self._n_bytes = max_bytes, 0
        self._sprites: OrderedDict[Hashable, Sprite] = OrderedDict()

    @property
    def n_bytes(self) -> int:
        """Memory of the pictures that are kept."""
        return self._n_bytes

    def get(self, key: Hashable, draw: Callable[[], Sprite]) -> Sprite:
        """Return a picture, drawn if it is not here."""
        sprite = self._sprites.get(key)
        if sprite is not None:
            self._sprites.move_to_end(key)
            return sprite
        sprite = self._sprites[key] = draw()
        self._n_bytes += 2 * sprite.image_bgr.nbytes
        while self._n_bytes > self._max_bytes and len(self._sprites) > 1:
            _, oldest = self._sprites.popitem(last=False)
            self._n_bytes -= 2 * oldest.image_bgr.nbytes
        return sprite


def shaded(colour: Colour, gain: float) -> Colour:
    """Return a lighter or darker colour."""
    blue, green, red = (min(255, int(value * gain + 0.5)) for value in colour)
    return blue, green, red


def normal_of(points: Sequence[Point3]) -> Point3:
    """Return the direction that a face looks to, not of length 1, for corners in counter-clockwise order."""
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = points[:3]
    ux, uy, uz, vx, vy, vz = bx - ax, by - ay, bz - az, cx - ax, cy - ay, cz - az
    return uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
