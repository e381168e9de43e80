"""Dogs and pushchairs: objects that no class of the product stands for, with which a script can surprise a detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from edge_autotuner.simulation.world.exact import sine
from edge_autotuner.simulation.world.sprite import Canvas, Colour, Point3, Sprite, View, shaded

CompanionKind = Literal["dog", "pushchair"]
COMPANION_KINDS: tuple[CompanionKind, ...] = get_args(CompanionKind)
N_LOOKS, N_STEPS = 4, 8
"""Colours and sizes of each kind, and pictures of a dog's stride."""
DOG_STRIDE_M = 0.9

_FURS: tuple[Colour, ...] = ((46, 52, 60), (70, 110, 160), (200, 208, 214), (40, 66, 104))
_CLOTHS: tuple[Colour, ...] = ((60, 50, 46), (120, 60, 40), (60, 50, 150), (90, 96, 90))
_DOG_SIZES = (0.8, 1.0, 1.15, 0.65)
_STEEL: Colour = (110, 112, 114)


@dataclass(frozen=True)
class Companion:
    """A dog or a pushchair.

    Attributes:
        kind: which.
        look: its colour and size, 0 to `N_LOOKS` - 1.
    """

    kind: CompanionKind
    look: int

    @property
    def measures(self) -> tuple[float, float, float]:
        """Half the length, half the width and the height, metres."""
        scale = _DOG_SIZES[self.look]
        return (0.4 * scale, 0.12 * scale, 0.68 * scale) if self.kind == "dog" else (0.4, 0.28, 1.05)


def draw_companion(one: Companion, step: int, view: View) -> Sprite:
    """Draw a dog in one of the `N_STEPS` moments of its stride, or a pushchair."""
    half, _, high = one.measures
    canvas = Canvas(view, 1.6 * half + 0.1, high + 0.1)
    if one.kind == "dog":
        _draw_dog(canvas, _FURS[one.look], _DOG_SIZES[one.look], step)
    else:
        _draw_pushchair(canvas, _CLOTHS[one.look])
    return canvas.finish()


def _draw_dog(canvas: Canvas, fur: Colour, size: float, step: int) -> None:
    def at(x: float, b: float, z: float) -> Point3:
        return x * size, b * size, z * size

    parts: list[tuple[list[tuple[Point3, float]], Colour]] = []
    for number, (x, b) in enumerate(((0.2, 0.08), (-0.24, -0.08), (0.2, -0.08), (-0.24, 0.08))):
        swing = sine(step / N_STEPS + (0.0 if number < 2 else 0.5))
        foot = at(x + 0.12 * swing, b, 0.03 + 0.05 * max(0.0, -swing))
        parts.append(([(at(x, b, 0.38), 0.05 * size), (foot, 0.03 * size)], shaded(fur, 0.8)))
    parts.append(([(at(-0.26, 0, 0.42), 0.12 * size), (at(0.2, 0, 0.45), 0.14 * size)], fur))
    parts.append(([(at(-0.36, 0, 0.48), 0.03 * size), (at(-0.48, 0, 0.64), 0.02 * size)], fur))
    parts.append(([(at(0.26, 0, 0.5), 0.09 * size), (at(0.36, 0, 0.6), 0.09 * size), (at(0.52, 0, 0.56), 0.045 * size)],
                  shaded(fur, 1.1)))  # fmt: skip
    for balls, colour in sorted(parts, key=lambda part: -canvas.view.distance(part[0][0][0])):
        canvas.hull(balls, colour)


def _draw_pushchair(canvas: Canvas, cloth: Colour) -> None:
    for x in (-0.28, 0.3):
        for b in (-0.24, 0.24):
            canvas.hull([((x, b, 0.12), 0.12)], (34, 34, 36))
            canvas.hull([((x, b, 0.12), 0.05)], _STEEL)
    for b in (-0.2, 0.2):
        canvas.line([(0.3, b, 0.14), (-0.34, b, 1.0)], _STEEL, 0.04)
        canvas.line([(-0.28, b, 0.14), (0.2, b, 0.6)], _STEEL, 0.04)
    canvas.line([(-0.34, -0.22, 1.0), (-0.34, 0.22, 1.0)], (40, 40, 42), 0.05)
    seat = [((0.28, b, 0.42), 0.08) for b in (-0.14, 0.14)] + [((-0.16, b, 0.5), 0.14) for b in (-0.1, 0.1)]
    hood = [((-0.16, b, 0.8), 0.13) for b in (-0.1, 0.1)] + [((0.02, b, 0.84), 0.09) for b in (-0.12, 0.12)]
    canvas.hull(seat, cloth)
    canvas.hull([*hood, ((-0.18, 0.0, 0.6), 0.12)], shaded(cloth, 1.25))
