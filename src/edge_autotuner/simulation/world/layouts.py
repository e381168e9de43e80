"""Where things are in the four types of scenes: roads, paths, parking bays, buildings, and the camera.

A layout follows from the scene type and the number of the camera. Metres on the ground, as in `camera`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import ConfigError
from edge_autotuner.simulation.world.camera import PinholeCamera
from edge_autotuner.simulation.world.exact import Draws, cosine, sine
from edge_autotuner.simulation.world.people import Gait

SceneType = Literal["street", "parking", "campus", "motorway"]
Material = Literal["grass", "asphalt", "pavement", "marking", "brick", "soil", "path", "kerb"]
Ground = tuple[float, float]

SCENE_TYPES: tuple[SceneType, ...] = get_args(SceneType)
MATERIALS: tuple[Material, ...] = get_args(Material)
_TYPE_KEYS = {"street": 11, "parking": 12, "campus": 13, "motorway": 14}

_STREET_SHARES = {"car": 0.74, "van": 0.11, "truck": 0.05, "bus": 0.04, "motorcycle": 0.06}
_BIKE_SHARES = {"bicycle": 0.85, "motorcycle": 0.15}
_MOTORWAY_SHARES = {"car": 0.8, "van": 0.08, "truck": 0.09, "bus": 0.01, "motorcycle": 0.02}


@dataclass(frozen=True)
class Region:
    """A convex piece of ground."""

    points: tuple[Ground, ...]
    material: Material


@dataclass(frozen=True)
class Building:
    """A box on the ground, given by its corners in order, with windows on its walls."""

    corners: tuple[Ground, Ground, Ground, Ground]
    height_m: float
    number: int


@dataclass(frozen=True)
class Tree:
    """A trunk with a crown."""

    place: Ground
    height_m: float
    number: int


@dataclass(frozen=True)
class Post:
    """A street lamp (which gives light at night), or a barrier of roadworks."""

    place: Ground
    height_m: float
    is_lamp: bool = True


@dataclass(frozen=True)
class Lane:
    """Vehicles that follow each other at one speed, so that they never meet.

    Attributes:
        points: the line that they follow.
        speed_mps: of all of them.
        gap_m: from one slot to the next; a slot holds one vehicle or none.
        density: share of the slots that hold one.
        shares: of the kinds of vehicles.
        stop_every_s, stop_s: the whole lane stands for `stop_s` in each such period; 0 never.
        is_closed_by_works: nobody enters while there are roadworks.
    """

    points: tuple[Ground, ...]
    speed_mps: float
    gap_m: float
    density: float
    shares: Mapping[str, float]
    stop_every_s: float = 0.0
    stop_s: float = 0.0
    is_closed_by_works: bool = False


@dataclass(frozen=True)
class Walk:
    """People who walk along a line, in both directions.

    Attributes:
        points: the line.
        half_width_m: how far beside it they walk at most.
        per_minute: groups that begin to walk; most groups are one person.
        paces: shares of the gaits.
        pause_share: of the people, who stand still somewhere for a while.
    """

    points: tuple[Ground, ...]
    half_width_m: float
    per_minute: float
    paces: Mapping[Gait, float] = field(default_factory=lambda: {"walk": 0.72, "stroll": 0.22, "run": 0.06})
    pause_share: float = 0.12


@dataclass(frozen=True)
class Bay:
    """A place to park.

    Attributes:
        way_in: from where a car comes, to where it stands.
        way_out: from there to where it leaves; driven backwards up to `n_reversed` points.
        stay_s: from one car to the next.
        occupied: share of these periods with a car.
    """

    way_in: tuple[Ground, ...]
    way_out: tuple[Ground, ...]
    n_reversed: int
    stay_s: float
    occupied: float


@dataclass(frozen=True)
class Layout:
    """All of one camera's scene that does not change from frame to frame."""

    camera: PinholeCamera
    seed: int
    regions: tuple[Region, ...]
    buildings: tuple[Building, ...] = ()
    trees: tuple[Tree, ...] = ()
    posts: tuple[Post, ...] = ()
    lanes: tuple[Lane, ...] = ()
    walks: tuple[Walk, ...] = ()
    bays: tuple[Bay, ...] = ()
    works_regions: tuple[Region, ...] = ()
    works_posts: tuple[Post, ...] = ()
    sun: Ground = (0.55, 0.35)  # where a point 1 m high throws its shadow
    verges: tuple[Walk, ...] = ()  # where nobody walks unless a script says so


def make_layout(scene: SceneType, camera: int, size_wh: SizeWH) -> Layout:
    """Return the layout of one of the cameras of a type.

    Raises:
        ConfigError: there is no such type of scene.
    """
    makers = {"street": _street, "parking": _parking, "campus": _campus, "motorway": _motorway}
    if scene not in makers:
        raise ConfigError(f"no scene type '{scene}'; there are {', '.join(SCENE_TYPES)}")
    return makers[scene](camera, size_wh, Draws(_TYPE_KEYS[scene], camera))


class _Frame:
    """Turns (along, across) of a road into ground coordinates; across grows to the left."""

    def __init__(self, origin: Ground, turn_deg: float) -> None:
        self._origin = origin
        self._c, self._s = cosine(turn_deg / 360), sine(turn_deg / 360)

    def at(self, along: float, across: float) -> Ground:
        x, y = self._origin
        return x + along * self._c - across * self._s, y + along * self._s + across * self._c

    def strip(self, along: Ground, across: Ground, material: Material) -> Region:
        (a0, a1), (b0, b1) = along, across
        return Region((self.at(a0, b0), self.at(a1, b0), self.at(a1, b1), self.at(a0, b1)), material)

    def building(self, along: Ground, across: Ground, height_m: float, number: int) -> Building:
        (a0, a1), (b0, b1) = along, across
        return Building((self.at(a0, b0), self.at(a1, b0), self.at(a1, b1), self.at(a0, b1)), height_m, number)

    def dashes(self, along: Ground, across: float, on_m: float, off_m: float, width_m: float) -> list[Region]:
        marks, start = [], along[0]
        while start < along[1]:
            marks.append(self.strip((start, start + on_m), (across - width_m / 2, across + width_m / 2), "marking"))
            start += on_m + off_m
        return marks


def _row_of_buildings(frame: _Frame, along: Ground, across: float, draws: Draws, n_first: int) -> list[Building]:
    buildings: list[Building] = []
    start = along[0]
    while start < along[1]:
        wide = draws.between(9.0, 18.0)
        deep = draws.between(0.0, 1.5)
        high = draws.between(6.0, 13.0)
        buildings.append(
            frame.building((start, start + wide), (across + deep, across + 12), high, n_first + len(buildings))
        )
        start += wide + (draws.between(2.0, 6.0) if draws.unit() < 0.3 else 0.0)
    return buildings


def _street(number: int, size_wh: SizeWH, draws: Draws) -> Layout:
    is_along = number % 3 == 2
    turn = draws.between(52.0, 66.0) if is_along else draws.between(-16.0, 16.0)
    mirror = 1.0 if draws.unit() < 0.5 or not is_along else -1.0
    height = draws.between(4.6, 6.4)
    frame = _Frame((mirror * -4.0 if is_along else 0.0, 15.0 if is_along else draws.between(12.5, 15.0)),
                   turn if mirror > 0 else 180.0 - turn)  # fmt: skip
    camera = PinholeCamera(size_wh, height, draws.between(13.0, 17.0), focal_widths=draws.between(0.82, 0.98))
    whole = (-90.0, 90.0)
    regions = [
        frame.strip(whole, (-7.2, -4.2), "pavement"), frame.strip(whole, (4.9, 8.6), "pavement"),
        frame.strip(whole, (-4.2, 4.9), "asphalt"),
        frame.strip(whole, (-4.3, -4.1), "kerb"), frame.strip(whole, (4.8, 5.0), "kerb"),
        *frame.dashes((-60.0, 60.0), -0.5, 2.0, 2.5, 0.13), frame.strip(whole, (2.68, 2.78), "marking"),
    ]  # fmt: skip
    zebra = draws.between(-9.0, 9.0)
    regions += [frame.strip((zebra - 1.6, zebra + 1.6), (b, b + 0.5), "marking") for b in _steps(-4.0, 2.4, 1.0)]
    buildings = _row_of_buildings(frame, (-85.0, 85.0), 8.8, draws, 0)
    trees = tuple(
        Tree(frame.at(along, 7.9), draws.between(4.5, 7.0), n)
        for n, along in enumerate(_steps(-40.0 + draws.between(0, 8), 40.0, 13.0))
    )
    lamps = tuple(Post(frame.at(along, 5.3), 6.5) for along in _steps(-36.0 + draws.between(0, 9), 40.0, 18.0))
    bays = tuple(
        Bay(
            (frame.at(60, 1.1), frame.at(s + 9, 1.1), frame.at(s + 4, 2.9), frame.at(s, 3.75)),
            (frame.at(s, 3.75), frame.at(s - 3.5, 3.1), frame.at(s - 8, 1.1), frame.at(-60, 1.1)),
            0, draws.between(70.0, 420.0), 0.5,
        )
        for s in _steps(-24.0, 26.0, 6.4) if draws.unit() < 0.75
    )  # fmt: skip
    stops = (draws.between(40.0, 70.0), draws.between(6.0, 12.0))
    lanes = (
        Lane((frame.at(-70, -2.4), frame.at(70, -2.4)), draws.between(7, 10), 19.0, 0.36, _STREET_SHARES, *stops, True),
        Lane((frame.at(70, 1.1), frame.at(-70, 1.1)), draws.between(7, 10), 19.0, 0.36, _STREET_SHARES),
        Lane((frame.at(-60, -3.8), frame.at(60, -3.8)), 4.6, 26.0, 0.22, _BIKE_SHARES),
    )
    walks = (
        Walk((frame.at(-45, -5.8), frame.at(45, -5.8)), 0.9, 4.0),
        Walk((frame.at(-45, 6.4), frame.at(45, 6.4)), 0.9, 6.0),
        Walk(
            (frame.at(zebra - 8, 6.2), frame.at(zebra, 5.6), frame.at(zebra, -5.2), frame.at(zebra + 8, -5.9)), 0.8, 2.5
        ),
    )
    works = frame.strip((-7.0, 4.0), (-4.0, -1.0), "soil")
    fence = tuple(Post(frame.at(a, -0.8), 1.0, is_lamp=False) for a in _steps(-7.0, 4.5, 1.9))
    return Layout(camera, draws.below(1 << 30), tuple(regions), tuple(buildings), trees, lamps, lanes, walks, bays,
                  (works,), fence)  # fmt: skip


def _steps(start: float, end: float, step: float) -> list[float]:
    return [start + n * step for n in range(int((end - start) / step) + 1)]


def _parking(number: int, size_wh: SizeWH, draws: Draws) -> Layout:
    frame = _Frame((draws.between(-3, 3), draws.between(15.0, 18.0)), draws.between(-20.0, 20.0))
    camera = PinholeCamera(
        size_wh, draws.between(6.5, 8.8), draws.between(17.0, 21.0), focal_widths=draws.between(0.8, 0.95)
    )
    regions = [
        frame.strip((-42.0, 42.0), (-9.5, 27.0), "asphalt"),
        frame.strip((-42.0, 42.0), (27.0, 30.0), "pavement"),
    ]
    bays = []
    half_row = 7 + draws.below(3)
    for row, aisle, opening in ((-6.0, -1.4, 1), (5.9, 1.4, -1), (11.3, 15.4, 1), (23.0, 18.6, -1)):
        for n in range(-half_row, half_row + 1):
            s = n * 2.75
            edge = (row - 2.5 * opening, row + 2.5 * opening)
            regions.append(frame.strip((s - 1.43, s - 1.31), (min(edge), max(edge)), "marking"))
            arrive = (
                frame.at(-45, aisle),
                frame.at(s - 4, aisle),
                frame.at(s - 0.6, row + 3.4 * opening),
                frame.at(s, row),
            )
            leave = (frame.at(s, row), frame.at(s, row + 4.0 * opening), frame.at(s - 2.5, aisle), frame.at(45, aisle))
            stay = draws.between(240.0, 2400.0)
            bays.append(Bay(arrive, leave, 2, stay, draws.between(0.45, 0.9)))
    lanes = (
        Lane((frame.at(-45, -1.5), frame.at(45, -1.5)), 4.2, 30.0, 0.16, {"car": 0.9, "van": 0.1}),
        Lane(
            (frame.at(45, 18.8), frame.at(-45, 18.8)), 4.2, 30.0, 0.14, {"car": 0.85, "van": 0.12, "motorcycle": 0.03}
        ),
    )
    crossing = draws.between(-10, 10)
    walks = (
        Walk((frame.at(-38, 0.6), frame.at(38, 0.6)), 1.6, 2.5),
        Walk((frame.at(-38, 28.6), frame.at(38, 28.6)), 0.9, 3.0),
        Walk((frame.at(crossing, 28.4), frame.at(crossing + 1.4, 17), frame.at(crossing + 1.4, 1), frame.at(-30, -1)),
             0.6, 2.0),
        Walk((frame.at(20, -8.6), frame.at(-24, -8.6)), 0.6, 2.0),
    )  # fmt: skip
    buildings = _row_of_buildings(frame, (-60.0, 60.0), 31.0, draws, 40)
    trees = tuple(Tree(frame.at(a, 29.6), draws.between(4.0, 6.0), 50 + n) for n, a in enumerate(_steps(-35, 35, 14.0)))
    lamps = tuple(Post(frame.at(a, 8.6), 7.5) for a in (-16.5, 0.0, 16.5))
    works = frame.strip((2.0, 9.5), (3.4, 8.4), "soil")
    fence = tuple(Post(frame.at(a, 3.2), 1.0, is_lamp=False) for a in _steps(2.0, 9.6, 1.9))
    return Layout(camera, draws.below(1 << 30), tuple(regions), tuple(buildings), trees, lamps, lanes, walks,
                  tuple(bays), (works,), fence)  # fmt: skip


def _campus(number: int, size_wh: SizeWH, draws: Draws) -> Layout:
    frame = _Frame((0.0, draws.between(12.0, 14.0)), draws.between(-24.0, 24.0))
    camera = PinholeCamera(
        size_wh, draws.between(4.8, 6.2), draws.between(15.0, 18.5), focal_widths=draws.between(0.85, 1.05)
    )
    across = draws.between(62.0, 112.0)
    second = _Frame(frame.at(draws.between(-5, 5), 0.0), across)
    regions = [
        frame.strip((-70.0, 70.0), (-2.4, 2.4), "path"), second.strip((-16.0, 60.0), (-1.7, 1.7), "path"),
        frame.strip((-90.0, 90.0), (21.5, 28.5), "asphalt"), frame.strip((-90.0, 90.0), (19.8, 21.5), "pavement"),
        *frame.dashes((-70.0, 70.0), 25.0, 2.0, 3.0, 0.14),
    ]  # fmt: skip
    lanes = (
        Lane((frame.at(-75, 23.2), frame.at(75, 23.2)), 8.0, 30.0, 0.22, {"car": 0.85, "van": 0.1, "bus": 0.05}),
        Lane((frame.at(75, 26.8), frame.at(-75, 26.8)), 8.5, 30.0, 0.22, {"car": 0.85, "van": 0.1, "truck": 0.05}),
        Lane((frame.at(-50, -1.9), frame.at(50, -1.9)), 4.0, 34.0, 0.3, {"bicycle": 1.0}),
        Lane((frame.at(50, 1.9), frame.at(-50, 1.9)), 3.6, 38.0, 0.3, {"bicycle": 1.0}),
    )
    walks = (
        Walk((frame.at(-36, 0.0), frame.at(36, 0.0)), 1.7, 9.0),
        Walk((second.at(-13, 0.0), second.at(45, 0.0)), 1.2, 5.0),
        Walk((frame.at(-30, -5.0), frame.at(0, 3.0), frame.at(30, 12.0)), 1.0, 1.5),
        Walk((frame.at(-60, 20.6), frame.at(60, 20.6)), 0.6, 3.0),
    )
    places = [frame.at(draws.between(-30, 30), across_m) for across_m in (5.5, 8.0, 9.5, 12.0, 14.0, 17.0, 18.5, -5.2)]
    trees = tuple(
        Tree(place, draws.between(4.5, 8.0), 70 + n) for n, place in enumerate(places) if place[1] > 15 + abs(place[0])
    )
    buildings = _row_of_buildings(frame, (-80.0, 80.0), 33.0, draws, 60)
    lamps = tuple(Post(frame.at(a, 2.9), 4.2) for a in _steps(-22, 24, 15.0))
    works = frame.strip((-6.0, 1.0), (3.4, 7.5), "soil")
    fence = tuple(Post(frame.at(a, 3.2), 1.0, is_lamp=False) for a in _steps(-6.0, 1.5, 1.9))
    return Layout(camera, draws.below(1 << 30), tuple(regions), tuple(buildings), trees, lamps, lanes, walks, (),
                  (works,), fence)  # fmt: skip


def _motorway(number: int, size_wh: SizeWH, draws: Draws) -> Layout:
    camera = PinholeCamera(
        size_wh, draws.between(32.0, 40.0), draws.between(11.0, 12.5), focal_widths=draws.between(1.25, 1.5)
    )
    side = 1.0 if draws.unit() < 0.5 else -1.0
    frame = _Frame((side * draws.between(8, 18), 60.0), 90.0 + side * draws.between(8.0, 20.0))
    n_lanes = 3 + draws.below(2)
    wide = 3.7 * n_lanes
    whole = (-60.0, 700.0)
    regions = [
        frame.strip(whole, (1.2, wide + 5.0), "asphalt"), frame.strip(whole, (-wide - 5.0, -1.2), "asphalt"),
        frame.strip(whole, (-1.2, 1.2), "kerb"),
    ]  # fmt: skip
    lanes = []
    for way in (1, -1):
        for n in range(n_lanes):
            middle = way * (2.0 + 3.7 * (n + 0.5))
            points = (frame.at(-30, middle), frame.at(420, middle))
            kinds = dict(_MOTORWAY_SHARES) if n else {**_MOTORWAY_SHARES, "truck": 0.0}
            speed = 31.0 - 2.6 * n + draws.between(-1, 1)
            is_closed = way < 0 and n == n_lanes - 1
            lanes.append(
                Lane(
                    points if way < 0 else points[::-1], speed, 34.0 + 3 * n, 0.62, kinds, is_closed_by_works=is_closed
                )
            )
            if n:
                regions += frame.dashes((-40.0, 420.0), way * (2.0 + 3.7 * n), 4.0, 8.0, 0.2)
        for edge in (2.0, 2.0 + wide):
            regions.append(frame.strip(whole, tuple(sorted((way * edge - 0.1, way * edge + 0.1))), "marking"))  # type: ignore[arg-type]
    trees = tuple(
        Tree(frame.at(draws.between(20, 330), way * (wide + draws.between(12, 45))), draws.between(6, 11), 90 + n)
        for n, way in enumerate((1, -1) * 14)
    )
    buildings = [
        frame.building((a, a + draws.between(14, 30)), (side * b, side * b + 16), draws.between(6, 14), 100 + n)
        for n, (a, b) in enumerate(((120, 75), (210, 60), (300, 70), (90, -70), (240, -72), (360, 55)))
    ]
    lamps = tuple(Post(frame.at(a, 0.0), 11.0) for a in _steps(35.0, 330.0, 42.0))
    works = frame.strip((60.0, 140.0), (-wide - 4.5, -wide + 1.9), "soil")
    fence = tuple(Post(frame.at(a, -wide + 2.1), 1.2, is_lamp=False) for a in _steps(55.0, 145.0, 5.0))
    verges = tuple(
        Walk((frame.at(-10, way * (wide + 3.4)), frame.at(150, way * (wide + 3.4))), 0.6, 3.0, pause_share=0.3)
        for way in (1, -1)
    )
    return Layout(camera, draws.below(1 << 30), tuple(regions), tuple(buildings), trees, lamps, tuple(lanes), (), (),
                  (works,), fence, verges=verges)  # fmt: skip
