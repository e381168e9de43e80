"""Cars, vans, buses, trucks, motorcycles and bicycles, as prisms and lines in metres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from edge_autotuner.simulation.world.exact import cosine, sine
from edge_autotuner.simulation.world.sprite import Canvas, Colour, Point3, Sprite, View, normal_of, shaded

VehicleKind = Literal["car", "van", "bus", "truck", "motorcycle", "bicycle"]
VEHICLE_KINDS: tuple[VehicleKind, ...] = get_args(VehicleKind)
Profile = Sequence[tuple[float, float]]

N_COLOURS, N_SHAPES = 10, 3
_PAINTS: tuple[Colour, ...] = (
    (225, 226, 224), (60, 58, 56), (150, 148, 145), (110, 108, 104), (36, 34, 130), (128, 68, 34),
    (196, 192, 186), (70, 94, 40), (38, 36, 36), (92, 52, 28),
)  # fmt: skip
_TYRE, _RIM, _GLASS, _SHEEN = (30, 28, 27), (150, 150, 150), (62, 54, 46), (150, 138, 122)
_LAMP, _TAIL, _DARK, _PLATE = (238, 240, 240), (40, 30, 190), (38, 36, 35), (215, 225, 225)
_WHEEL = tuple((cosine(n / 14), sine(n / 14)) for n in range(14))
_SMALL_PX_PER_M = 9.0  # below, what is smaller than a pixel is not drawn
_SUN = (-0.42, -0.5, 0.76)  # right, away, up, of the light in the picture: behind the camera, from the left


@dataclass(frozen=True)
class VehicleSize:
    """Outer measures, metres."""

    length: float
    width: float
    height: float


_SIZES: dict[VehicleKind, tuple[VehicleSize, ...]] = {
    "car": (VehicleSize(4.4, 1.8, 1.47), VehicleSize(3.95, 1.74, 1.5), VehicleSize(4.6, 1.88, 1.68)),
    "van": (VehicleSize(5.2, 1.98, 2.2), VehicleSize(5.9, 2.02, 2.55), VehicleSize(4.9, 1.9, 1.95)),
    "bus": (VehicleSize(11.5, 2.55, 3.1), VehicleSize(12.0, 2.55, 3.2), VehicleSize(9.0, 2.4, 2.9)),
    "truck": (VehicleSize(8.2, 2.5, 3.4), VehicleSize(9.6, 2.55, 3.7), VehicleSize(7.0, 2.35, 3.1)),
    "motorcycle": (VehicleSize(2.1, 0.7, 1.2),) * 3,
    "bicycle": (VehicleSize(1.75, 0.55, 1.05),) * 3,
}


@dataclass(frozen=True)
class VehicleModel:
    """One of the models on the road: its kind, its shape and its paint, both numbered."""

    kind: VehicleKind
    shape: int
    paint: int

    @property
    def size(self) -> VehicleSize:
        """Outer measures."""
        return _SIZES[self.kind][self.shape]


def draw_vehicle(model: VehicleModel, view: View) -> Sprite:
    """Draw a vehicle that stands with its middle on the anchor."""
    size = model.size
    canvas = Canvas(view, math.sqrt(size.length * size.length + size.width * size.width) / 2 + 0.1, size.height + 0.1)
    painter = _Painter(canvas)
    if model.kind in ("motorcycle", "bicycle"):
        _draw_two_wheels(painter, model)
    elif model.kind == "truck":
        _draw_truck(painter, model)
    elif model.kind == "bus":
        _draw_bus(painter, model)
    else:
        _draw_car(painter, model)
    return canvas.finish()


class _Painter:
    """Draws faces that look to the camera, lit by the sun."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self._angles = canvas.view.angles
        self.is_small = canvas.view.px_per_m < _SMALL_PX_PER_M

    def looks_here(self, n: Point3) -> bool:
        """Whether a face with this normal is seen."""
        sin_yaw, cos_yaw, sin_down, cos_down = self._angles
        away = n[0] * cos_yaw + n[1] * sin_yaw
        return away * cos_down - n[2] * sin_down < 0

    def light_on(self, n: Point3) -> float:
        """Return the brightness of a face with this normal."""
        sin_yaw, cos_yaw, _, _ = self._angles
        length = math.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]) or 1.0
        right, away = n[0] * sin_yaw - n[1] * cos_yaw, n[0] * cos_yaw + n[1] * sin_yaw
        cosine_of_sun = (right * _SUN[0] + away * _SUN[1] + n[2] * _SUN[2]) / length
        return 0.66 + 0.44 * max(0.0, cosine_of_sun)

    def face(self, points: Sequence[Point3], colour: Colour) -> None:
        """Fill a face if it is visible."""
        normal = normal_of(points)
        if self.looks_here(normal):
            self.canvas.polygon(points, shaded(colour, self.light_on(normal)))

    def prism(self, profile: Profile, half_width: float, colour: Colour, top_half_width: float | None = None) -> None:
        """Fill a side view (forward, up; convex, counter-clockwise seen from the right) drawn out to both sides."""
        low, high = min(z for _, z in profile), max(z for _, z in profile)
        top = half_width if top_half_width is None else top_half_width

        def at(point: tuple[float, float], side: int) -> Point3:
            share = (point[1] - low) / (high - low)
            return point[0], side * (half_width + share * (top - half_width)), point[1]

        right, left = [at(point, -1) for point in profile], [at(point, 1) for point in profile]
        for end in range(len(profile)):
            self.face([right[end - 1], left[end - 1], left[end], right[end]], colour)
        self.face(right, colour)
        self.face(left[::-1], colour)

    def box(self, x: tuple[float, float], z: tuple[float, float], half_width: float, colour: Colour) -> None:
        """Fill a box from back to front and from bottom to top."""
        self.prism([(x[0], z[0]), (x[1], z[0]), (x[1], z[1]), (x[0], z[1])], half_width, colour)

    def on_side(self, profile: Profile, half_width: float, colour: Colour, top: float | None = None) -> None:
        """Fill a shape on both sides, where they are seen; `top` is the half width at its upper edge."""
        low, high = min(z for _, z in profile), max(z for _, z in profile)
        narrow = half_width if top is None else top
        for side in (-1, 1):
            points = [
                (x, side * (half_width + (z - low) / max(1e-6, high - low) * (narrow - half_width)), z)
                for x, z in (profile if side < 0 else tuple(reversed(profile)))
            ]
            self.face(points, colour)

    def wheel(self, x: float, radius: float, half_width: float) -> None:
        """Draw a wheel on each side, flush with it."""
        for side in (-1, 1):
            if self.looks_here((0.0, side, 0.0)):
                b = side * (half_width + 0.01)
                disc = [(x + radius * c, b, radius + radius * s) for c, s in _WHEEL]
                if not self.is_small:
                    self.canvas.polygon([(px, pb, pz + 0.06) for px, pb, pz in disc], _DARK)  # the arch above it
                self.canvas.polygon(disc, _TYRE)
                if self.is_small:
                    continue
                self.canvas.polygon([(x + 0.62 * radius * c, b, radius + 0.62 * radius * s) for c, s in _WHEEL], _RIM)
                self.canvas.polygon(
                    [(x + 0.2 * radius * c, b, radius + 0.2 * radius * s) for c, s in _WHEEL], (80, 80, 80)
                )

    def across(self, x: float, b: tuple[float, float], z: tuple[float, float], colour: Colour) -> None:
        """Fill a rectangle on the front (x > 0) or back; it is not shaded."""
        if self.looks_here((x, 0.0, 0.0)):
            points: list[Point3] = [(x, b[0], z[0]), (x, b[1], z[0]), (x, b[1], z[1]), (x, b[0], z[1])]
            self.canvas.polygon(points if x > 0 else points[::-1], colour)


def _draw_car(painter: _Painter, model: VehicleModel) -> None:
    size, paint = model.size, _PAINTS[model.paint]
    half, w, h = size.length / 2, size.width / 2, size.height
    is_van = model.kind == "van"
    waist = (0.52 if is_van else 0.6) * h
    hood_end, roof_front, roof_back, tail = _car_lengths(model, half)
    radius = 0.33
    painter.box((-half + 0.25, half - 0.25), (0.12, 0.4), w - 0.12, _DARK)
    body = [
        (-half + 0.06, 0.28), (half - 0.1, 0.28), (half, 0.42), (half - 0.02, 0.66 * waist),
        (half - 0.14, 0.84 * waist), (hood_end, waist), (tail, waist), (-half + 0.02, 0.9 * waist), (-half, 0.42),
    ]  # fmt: skip
    painter.prism(body, w, paint, w - 0.05)
    for x in (-0.31 * size.length, 0.3 * size.length):
        painter.wheel(x, radius, w)
    if not painter.is_small:
        _draw_doors(painter, half, w, waist)
    _draw_ends(painter, half, w, waist)
    cabin_top = w - 0.1 if is_van else w - 0.22
    cabin = [(tail, waist), (hood_end, waist), (roof_front, h), (roof_back, h)]
    painter.prism(cabin, w - 0.06, paint, cabin_top)
    _draw_glass(painter, cabin, w - 0.05, cabin_top + 0.01, is_van)


def _car_lengths(model: VehicleModel, half: float) -> tuple[float, float, float, float]:
    """Return where the hood ends, the roof begins and ends, and the body's upper edge ends."""
    if model.kind == "van":
        return 0.62 * half, 0.38 * half, -half + 0.1, -half + 0.04
    if model.shape == 0:  # a saloon
        return 0.44 * half, 0.1 * half, -0.42 * half, -0.72 * half
    return 0.46 * half, 0.14 * half, -0.72 * half, -0.95 * half  # with a hatch


def _draw_doors(painter: _Painter, half: float, w: float, waist: float) -> None:
    painter.on_side([(-0.4 * half, 0.3), (-0.38 * half, 0.3), (-0.38 * half, waist), (-0.4 * half, waist)], w, _DARK)
    painter.on_side([(0.1 * half, 0.3), (0.12 * half, 0.3), (0.12 * half, waist), (0.1 * half, waist)], w, _DARK)


def _draw_ends(painter: _Painter, half: float, w: float, waist: float) -> None:
    for side in (-1, 1):
        outer, inner = side * (w - 0.06), side * (w - 0.5)
        lamp = (min(outer, inner), max(outer, inner))
        painter.across(half + 0.01, lamp, (0.62 * waist, 0.8 * waist), _LAMP)
        painter.across(-half - 0.01, lamp, (0.62 * waist, 0.86 * waist), _TAIL)
    if painter.is_small:
        return
    painter.across(half + 0.01, (-0.45, 0.45), (0.5 * waist, 0.68 * waist), _DARK)
    painter.across(half + 0.01, (-w + 0.1, w - 0.1), (0.28, 0.36), _DARK)
    painter.across(-half - 0.01, (-w + 0.08, w - 0.08), (0.28, 0.4), _DARK)
    painter.across(half + 0.02, (-0.26, 0.26), (0.4, 0.51), _PLATE)
    painter.across(-half - 0.02, (-0.26, 0.26), (0.55, 0.66), _PLATE)


def _draw_glass(painter: _Painter, cabin: Profile, low_half: float, top_half: float, is_van: bool) -> None:
    (tail, waist), (front, _), (roof_front, h), (roof_back, _) = cabin

    def between(share: float) -> tuple[float, float, float, float]:
        z = waist + share * (h - waist)
        return (
            z, low_half + share * (top_half - low_half), front + share * (roof_front - front),
            tail + share * (roof_back - tail),
        )  # fmt: skip

    (z0, b0, f0, t0), (z1, b1, f1, t1), (z2, b2, f2, t2) = between(0.1), between(0.6), between(0.9)
    for (za, ba, fa, ta), (zb, bb, fb, tb), colour in (
        ((z0, b0, f0, t0), (z2, b2, f2, t2), _GLASS),
        ((z1, b1, f1, t1), (z2, b2, f2, t2), _SHEEN),
    ):
        painter.face([(fa, -ba + 0.1, za), (fa, ba - 0.1, za), (fb, bb - 0.1, zb), (fb, -bb + 0.1, zb)], colour)
        if not is_van:
            painter.face([(ta, ba - 0.1, za), (ta, -ba + 0.1, za), (tb, -bb + 0.1, zb), (tb, bb - 0.1, zb)], colour)
    back = roof_front - 0.95 if is_van else tail + 0.22 * (roof_front - tail)
    middle = (back + f0) / 2 - 0.1
    for start, end in ((f0 - 0.12, middle + 0.04), (middle - 0.04, back)):
        if end < start:
            painter.on_side(
                [(end, z0), (start, z0), (min(start, f2 - 0.1), z2), (max(end, t2 + 0.12), z2)], b0, _GLASS, b2
            )


def _draw_bus(painter: _Painter, model: VehicleModel) -> None:
    size = model.size
    half, w, h = size.length / 2, size.width / 2, size.height
    paint = ((60, 60, 205), (210, 208, 204), (180, 120, 40), (70, 160, 225))[model.paint % 4]
    painter.box((-half + 0.3, half - 0.3), (0.15, 0.5), w - 0.1, _DARK)
    painter.box((-half, half), (0.35, h), w, paint)
    low, high = 0.46 * h, 0.84 * h
    n_windows = int(size.length / 1.4)
    step = (size.length - 0.5) / n_windows
    for number in range(n_windows):
        x = -half + 0.3 + number * step
        painter.on_side([(x, low), (x + step - 0.1, low), (x + step - 0.1, high), (x, high)], w + 0.01, _GLASS)
        painter.on_side(
            [(x, high - 0.3), (x + step - 0.1, high - 0.3), (x + step - 0.1, high), (x, high)], w + 0.01, _SHEEN
        )
    painter.on_side([(-half, 0.9), (half, 0.9), (half, 1.0), (-half, 1.0)], w + 0.01, (230, 230, 230))
    for x in (-0.28 * size.length, 0.3 * size.length):
        painter.wheel(x, 0.48, w)
    for end in (half + 0.01, -half - 0.01):
        painter.across(end, (-w + 0.12, w - 0.12), (0.42 * h if end > 0 else 0.55 * h, 0.84 * h), _GLASS)
        painter.across(end, (-w + 0.12, w - 0.12), (0.7 * h, 0.84 * h), _SHEEN)
        painter.across(end, (-w + 0.3, w - 0.3), (0.87 * h, 0.96 * h), (30, 30, 30))
        painter.across(end, (-0.6, 0.6), (0.885 * h, 0.945 * h), (40, 190, 250))
        for side in (-1, 1):
            lamp = sorted((side * (w - 0.1), side * (w - 0.5)))
            painter.across(end, (lamp[0], lamp[1]), (0.6, 0.8), _LAMP if end > 0 else _TAIL)


def _draw_truck(painter: _Painter, model: VehicleModel) -> None:
    size = model.size
    half, w, h = size.length / 2, size.width / 2, size.height
    cab_back = half - 1.9
    paint, load = (
        _PAINTS[(model.paint + 4) % N_COLOURS],
        ((222, 222, 218), (190, 196, 200), (150, 110, 60))[model.shape],
    )
    is_front_far = painter.canvas.view.angles[1] > 0
    painter.box((-half + 0.1, half - 0.2), (0.5, 0.85), w - 0.4, _DARK)
    for part in ("cab", "load") if is_front_far else ("load", "cab"):
        if part == "cab":
            cab_high = min(h, 2.75)
            profile = [(cab_back, 0.5), (half, 0.5), (half, 1.4), (half - 0.25, cab_high), (cab_back, cab_high)]
            painter.prism(profile, w - 0.06, paint)
            painter.face(
                [(half - 0.03, -w + 0.2, 1.5), (half - 0.03, w - 0.2, 1.5), (half - 0.22, w - 0.2, 2.5),
                 (half - 0.22, -w + 0.2, 2.5)], _GLASS,
            )  # fmt: skip
            painter.on_side(
                [(cab_back + 0.5, 1.5), (half - 0.2, 1.5), (half - 0.35, 2.4), (cab_back + 0.5, 2.4)], w - 0.05, _GLASS
            )
            painter.across(half + 0.01, (-w + 0.3, w - 0.3), (0.95, 1.3), _DARK)
            for side in (-1, 1):
                lamp = sorted((side * (w - 0.15), side * (w - 0.5)))
                painter.across(half + 0.02, (lamp[0], lamp[1]), (0.65, 0.9), _LAMP)
        else:
            painter.box((-half, cab_back - 0.15), (0.95, h), w, load)
            painter.across(-half - 0.01, (-0.03, 0.03), (1.0, h - 0.1), (120, 120, 120))
            painter.across(-half - 0.01, (-w + 0.1, w - 0.1), (0.75, 0.95), _DARK)
            for side in (-1, 1):
                lamp = sorted((side * (w - 0.1), side * (w - 0.4)))
                painter.across(-half - 0.02, (lamp[0], lamp[1]), (0.78, 0.93), _TAIL)
    for x in (half - 1.1, -0.24 * size.length, -0.24 * size.length - 1.15):
        painter.wheel(x, 0.48, w - 0.03)


def _draw_two_wheels(painter: _Painter, model: VehicleModel) -> None:
    canvas, is_bike = painter.canvas, model.kind == "bicycle"
    paint = _PAINTS[(model.paint + 4) % N_COLOURS]
    reach, radius, tyre = (0.53, 0.34, 0.045) if is_bike else (0.7, 0.32, 0.14)
    for x in (-reach, reach):
        ring = [(x + radius * c, 0.0, radius + radius * s) for c, s in _WHEEL]
        if is_bike:
            canvas.line(ring, _TYRE, tyre, closed=True)
            canvas.hull([((x, 0.0, radius), 0.04)], _RIM)
        else:
            canvas.hull([((px, b, pz), 0.02) for px, _, pz in ring for b in (-0.05, 0.05)], _TYRE)
            canvas.polygon([(x + 0.16 * c, 0.0, radius + 0.16 * s) for c, s in _WHEEL], _RIM)
    if is_bike:
        crank, seat, head = (-0.08, 0.0, 0.3), (-0.2, 0.0, 0.85), (0.36, 0.0, 0.85)
        frame = (
            (seat, crank),
            (crank, head),
            (seat, head),
            (crank, (-reach, 0.0, radius)),
            ((-reach, 0.0, radius), seat),
        )
        for start, end in (*frame, (head, (reach, 0.0, radius))):
            canvas.line([start, end], paint, 0.05)
        canvas.line([(0.36, 0.26, 1.0), (0.36, -0.26, 1.0)], _DARK, 0.04)
        canvas.hull([((-0.3, 0.0, 0.92), 0.06), ((-0.1, 0.0, 0.92), 0.03)], _DARK)
        return
    canvas.hull([((-0.1, 0.0, 0.45), 0.2), ((0.25, 0.0, 0.5), 0.18)], (70, 70, 70))
    canvas.hull([((0.1, 0.0, 0.85), 0.16), ((0.4, 0.0, 0.8), 0.12)], paint)
    canvas.hull([((-0.75, 0.0, 0.8), 0.08), ((-0.1, 0.0, 0.78), 0.1)], _DARK)
    canvas.line([(0.42, 0.0, 0.95), (reach, 0.0, radius)], (120, 120, 120), 0.09)
    canvas.line([(0.38, 0.36, 1.03), (0.38, -0.36, 1.03)], _DARK, 0.05)
    canvas.hull([((0.55, 0.0, 0.82), 0.11)], _LAMP if painter.canvas.view.angles[1] < 0 else paint)
