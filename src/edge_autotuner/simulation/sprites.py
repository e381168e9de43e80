"""Pictures of cars and people with transparency, drawn from simple shapes.

A shape is drawn four times too large and shrunk, which makes its edges smooth. Coordinates inside a drawing
are shares of its width and height.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.core.types import ImageArray

_OVERSAMPLING = 4
_Colour = tuple[int, int, int]
_Point = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Sprite:
    """A picture with holes.

    Attributes:
        image_bgr: (h, w, 3) uint8.
        alpha: (h, w) uint8, 0 transparent to 255 opaque.
    """

    image_bgr: ImageArray
    alpha: ImageArray

    def resized(self, width: int, height: int) -> Sprite:
        """Return it in another size."""
        image_bgr = cv2.resize(self.image_bgr, (width, height), interpolation=cv2.INTER_LINEAR)
        alpha = cv2.resize(self.alpha, (width, height), interpolation=cv2.INTER_LINEAR)
        return Sprite(np.asarray(image_bgr, np.uint8), np.asarray(alpha, np.uint8))

    def mirrored(self) -> Sprite:
        """Return it looking the other way."""
        return Sprite(np.ascontiguousarray(self.image_bgr[:, ::-1]), np.ascontiguousarray(self.alpha[:, ::-1]))


class _Canvas:
    """Draws into a large picture and shrinks it to a sprite."""

    def __init__(self, width: int, height: int) -> None:
        self._wh = width, height
        self._colour = np.zeros((height * _OVERSAMPLING, width * _OVERSAMPLING, 3), np.uint8)
        self._alpha = np.zeros(self._colour.shape[:2], np.uint8)

    def polygon(self, points: Sequence[_Point], colour: _Colour) -> None:
        corners = self._pixels(points)
        cv2.fillPoly(self._colour, [corners], colour)
        cv2.fillPoly(self._alpha, [corners], 255)

    def ellipse(self, centre: _Point, radii: _Point, colour: _Colour) -> None:
        """Fill an ellipse; `radii` are shares of width and height."""
        middle = tuple(int(v) for v in self._pixels([centre])[0])
        axes = tuple(max(1, int(v)) for v in self._pixels([radii])[0])
        cv2.ellipse(self._colour, middle, axes, 0, 0, 360, colour, -1)
        cv2.ellipse(self._alpha, middle, axes, 0, 0, 360, 255, -1)

    def limb(self, points: Sequence[_Point], thickness: float, colour: _Colour) -> None:
        """Draw a thick line with round ends; `thickness` is a share of the width."""
        width = max(1, round(thickness * self._colour.shape[1]))
        cv2.polylines(self._colour, [self._pixels(points)], False, colour, width)
        cv2.polylines(self._alpha, [self._pixels(points)], False, 255, width)

    def shade(self, rng: np.random.Generator, *, top: float, bottom: float) -> None:
        """Multiply brightness from top to bottom and add a fine texture."""
        rows = np.linspace(top, bottom, len(self._colour), dtype=np.float32)[:, None, None]
        texture = rng.normal(1.0, 0.04, (*self._alpha.shape, 1)).astype(np.float32)
        self._colour = np.clip(self._colour * rows * texture, 0, 255).astype(np.uint8)

    def sprite(self) -> Sprite:
        weight = self._alpha.astype(np.float32)[..., None] / 255
        alpha = cv2.resize(weight, self._wh, interpolation=cv2.INTER_AREA)  # (h, w)
        colour = cv2.resize(self._colour * weight, self._wh, interpolation=cv2.INTER_AREA)
        colour = colour / np.maximum(alpha, 1e-3)[..., None]
        return Sprite(np.clip(colour, 0, 255).astype(np.uint8), np.rint(alpha * 255).astype(np.uint8))

    def _pixels(self, points: Sequence[_Point]) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
        height, width = self._alpha.shape
        return np.asarray(np.rint(np.array(points) * [width - 1, height - 1]), np.int32)


_CAR_BODY = [(0.0, 0.78), (0.01, 0.52), (0.05, 0.45), (0.2, 0.41), (0.8, 0.4), (0.95, 0.46), (1.0, 0.58), (1.0, 0.78)]
_CAR_CABIN = [(0.14, 0.44), (0.27, 0.06), (0.36, 0.01), (0.62, 0.01), (0.7, 0.07), (0.83, 0.43)]
_CAR_REAR_WINDOW = [(0.2, 0.41), (0.3, 0.11), (0.37, 0.07), (0.46, 0.07), (0.46, 0.41)]
_CAR_FRONT_WINDOW = [(0.49, 0.41), (0.49, 0.07), (0.61, 0.07), (0.67, 0.11), (0.77, 0.41)]
_WINDOW: _Colour = (72, 60, 48)
_PAINTS: tuple[_Colour, ...] = (
    (40, 40, 190), (170, 90, 40), (225, 225, 225), (60, 60, 64), (150, 152, 155), (60, 120, 60), (30, 150, 200),
)  # fmt: skip
_CLOTHES: tuple[_Colour, ...] = (
    (50, 50, 160), (140, 70, 30), (40, 40, 45), (200, 200, 205), (50, 110, 50), (40, 130, 190), (120, 60, 110),
)  # fmt: skip
_SKINS: tuple[_Colour, ...] = ((150, 180, 225), (110, 145, 195), (70, 100, 150), (50, 70, 105))
_TROUSERS: tuple[_Colour, ...] = ((70, 45, 35), (45, 45, 48), (90, 100, 110), (110, 75, 45))


def draw_car(width: int, height: int, rng: np.random.Generator) -> Sprite:
    """Return a car seen from its side, driving to the right."""
    canvas = _Canvas(width, height)
    paint = _pick(_PAINTS, rng)
    dark = _scaled(paint, 0.6)
    canvas.polygon([(0.03, 0.7), (0.97, 0.7), (0.97, 0.84), (0.03, 0.84)], (25, 25, 25))  # under the body
    canvas.polygon(_CAR_CABIN, paint)
    canvas.polygon(_CAR_BODY, paint)
    canvas.polygon([(0.0, 0.68), (1.0, 0.68), (1.0, 0.78), (0.0, 0.78)], dark)
    for window in (_CAR_REAR_WINDOW, _CAR_FRONT_WINDOW):
        canvas.polygon(window, _WINDOW)
    canvas.limb([(0.475, 0.42), (0.475, 0.74)], 0.006, dark)
    canvas.limb([(0.53, 0.5), (0.57, 0.5)], 0.008, dark)
    canvas.polygon([(0.95, 0.5), (1.0, 0.56), (1.0, 0.62), (0.95, 0.6)], (190, 235, 245))
    canvas.polygon([(0.0, 0.5), (0.035, 0.5), (0.03, 0.6), (0.0, 0.6)], (40, 40, 200))
    canvas.shade(rng, top=1.1, bottom=0.8)
    _draw_wheels(canvas, width / height)
    return canvas.sprite()


def draw_truck(width: int, height: int, rng: np.random.Generator) -> Sprite:
    """Return a long truck seen from its side, driving to the right; its box covers nearly all of the picture."""
    canvas = _Canvas(width, height)
    paint = _pick(_PAINTS, rng)
    canvas.polygon([(0.02, 0.84), (0.98, 0.84), (0.98, 0.93), (0.02, 0.93)], (25, 25, 25))  # under the body
    canvas.polygon([(0.0, 0.0), (0.83, 0.0), (0.83, 0.88), (0.0, 0.88)], paint)
    for edge in np.linspace(0.06, 0.78, 13):
        canvas.limb([(float(edge), 0.02), (float(edge), 0.86)], 0.003, _scaled(paint, 0.75))
    canvas.polygon([(0.0, 0.42), (0.83, 0.3), (0.83, 0.44), (0.0, 0.56)], _scaled(paint, 1.5))
    canvas.polygon([(0.84, 0.14), (0.94, 0.14), (1.0, 0.5), (1.0, 0.9), (0.84, 0.9)], _scaled(paint, 0.7))
    canvas.polygon([(0.88, 0.2), (0.935, 0.2), (0.975, 0.48), (0.88, 0.48)], _WINDOW)
    canvas.shade(rng, top=1.05, bottom=0.85)
    _draw_wheels(canvas, width / height, places=(0.08, 0.16, 0.66, 0.92), y=0.9, radius=0.1)
    return canvas.sprite()


def _draw_wheels(
    canvas: _Canvas, aspect: float, *, places: tuple[float, ...] = (0.2, 0.79), y: float = 0.81, radius: float = 0.185
) -> None:
    for x in places:
        for share, colour in ((1.0, (22, 22, 22)), (0.62, (150, 150, 150)), (0.45, (95, 95, 95)), (0.15, (40, 40, 40))):
            canvas.ellipse((x, y), (share * radius / aspect, share * radius), colour)


@dataclass(frozen=True)
class Outfit:
    """The colours of a person, BGR."""

    skin: _Colour
    hair: _Colour
    top: _Colour
    trousers: _Colour

    @classmethod
    def random(cls, rng: np.random.Generator) -> Outfit:
        """Pick the colours."""
        hair = _scaled((60, 80, 110), float(rng.uniform(0.2, 1.2)))
        return cls(_pick(_SKINS, rng), hair, _pick(_CLOTHES, rng), _pick(_TROUSERS, rng))


def draw_person(width: int, height: int, outfit: Outfit, phase: float, rng: np.random.Generator) -> Sprite:
    """Return a person walking to the right; `phase` in [0, 1) is the position within two steps."""
    canvas = _Canvas(width, height)
    swing = float(np.sin(2 * np.pi * phase))
    far, near = _scaled(outfit.trousers, 0.7), outfit.trousers
    _draw_leg(canvas, -swing, far)
    _draw_arm(canvas, swing, _scaled(outfit.top, 0.7), outfit.skin)
    _draw_leg(canvas, swing, near)
    canvas.polygon([(0.35, 0.18), (0.62, 0.17), (0.72, 0.24), (0.68, 0.54), (0.32, 0.54), (0.29, 0.25)], outfit.top)
    canvas.limb([(0.5, 0.12), (0.5, 0.2)], 0.16, outfit.skin)
    canvas.ellipse((0.51, 0.08), (0.17, 0.075), outfit.skin)
    canvas.ellipse((0.47, 0.06), (0.18, 0.058), outfit.hair)
    canvas.ellipse((0.6, 0.088), (0.09, 0.05), outfit.skin)
    _draw_arm(canvas, -swing, _scaled(outfit.top, 0.85), outfit.skin)
    canvas.shade(rng, top=1.1, bottom=0.85)
    return canvas.sprite()


def _draw_leg(canvas: _Canvas, swing: float, colour: _Colour) -> None:
    foot_x, bend = 0.5 + 0.3 * swing, 0.06 if swing > 0 else 0.0
    canvas.limb([(0.5, 0.52), (0.52 + 0.16 * swing + bend, 0.73), (foot_x, 0.94)], 0.2, colour)
    canvas.limb([(foot_x - 0.02, 0.965), (foot_x + 0.13, 0.97)], 0.14, (30, 30, 35))


def _draw_arm(canvas: _Canvas, swing: float, sleeve: _Colour, skin: _Colour) -> None:
    hand = (0.5 + 0.27 * swing + 0.05, 0.5)
    canvas.limb([(0.5, 0.22), (0.48 + 0.14 * swing, 0.37), hand], 0.13, sleeve)
    canvas.ellipse(hand, (0.07, 0.024), skin)


def _pick(colours: Sequence[_Colour], rng: np.random.Generator) -> _Colour:
    return colours[int(rng.integers(len(colours)))]


def _scaled(colour: _Colour, factor: float) -> _Colour:
    b, g, r = (int(min(255, v * factor)) for v in colour)
    return b, g, r
