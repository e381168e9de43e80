"""Who passes through the simulated street, when, where and how fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge_autotuner.core import STREET_6
from edge_autotuner.core.types import SizeWH
from edge_autotuner.simulation.painting import Placed
from edge_autotuner.simulation.scene_events import ParkedCar, PassingTruck, SceneEvent
from edge_autotuner.simulation.sprites import Outfit, Sprite, draw_car, draw_person, draw_truck

_CYCLE_S = 15.0  # a busy and an empty stretch
_EMPTY_SHARE = 0.2  # of a cycle, at its beginning
_N_PHASES = 8  # pictures of one walking cycle
_ACTORS_PER_CYCLE = 6

_LANES = {"car": (0.69, 0.82), "person": (0.53, 0.95)}
"""Where feet and wheels touch the ground, shares of the frame height."""

_KERB_Y, _PARKING_WIDTHS_PER_S = 0.6, 0.25
_TRUCK_WIDTHS, _TRUCK_HEIGHT, _TRUCK_Y = 2.0, 0.92, 0.98  # of the frame
_TRUCK_DRAWN_PX = 480  # it is drawn in this width and enlarged
_MOST_OF_WIDTH = 0.8  # 70 % of the picture, as the truck is 92 % high and not quite a rectangle


@dataclass(frozen=True, eq=False)
class Actor:
    """One person or car that crosses the picture once.

    Attributes:
        class_id: in `STREET_6`.
        ground_y: row of the ground under it; who stands lower is nearer and covers the others.
        first_frame: it is visible from this frame on ...
        n_frames: ... for this many frames.
        speed_px: pixels per frame, negative to the left.
        start_x: left edge of its picture in the first frame.
        pictures: its walking cycle, or one picture.
        stops_after: after this many frames on its way ...
        n_standing: ... it stands still for this many.
    """

    class_id: int
    ground_y: int
    first_frame: int
    n_frames: int
    speed_px: float
    start_x: float
    pictures: tuple[Sprite, ...]
    stops_after: int = 0
    n_standing: int = 0

    def is_present(self, index: int) -> bool:
        """Whether it is on its way through the picture in this frame."""
        return 0 <= index - self.first_frame < self.n_frames

    def placed_at(self, index: int, shift_xy: tuple[int, int] = (0, 0)) -> Placed:
        """Return its picture at its place in this frame, moved by `shift_xy` pixels."""
        n_on_way = index - self.first_frame
        n_moved = min(n_on_way, max(self.stops_after, n_on_way - self.n_standing))
        picture = self.pictures[n_moved % len(self.pictures)]
        left = round(self.start_x + self.speed_px * n_moved)
        top = self.ground_y - picture.alpha.shape[0]
        return Placed(self.class_id, picture, left + shift_xy[0], top + shift_xy[1])


@dataclass(frozen=True)
class Timetable:
    """Busy stretches; the time before each of them is empty.

    Attributes:
        busy: (first frame, frame after the last) of each busy stretch.
    """

    busy: tuple[tuple[int, int], ...]

    @classmethod
    def for_video(cls, n_frames: int, rate_hz: float) -> Timetable:
        """Cut a video into equal cycles of about 15 s; every cycle begins with an empty stretch."""
        n_cycles = max(1, round(n_frames / (_CYCLE_S * rate_hz)))
        ends = [round(n_frames * (i + 1) / n_cycles) for i in range(n_cycles)]
        starts = [0, *ends[:-1]]
        return cls(tuple((a + max(1, round(_EMPTY_SHARE * (b - a))), b) for a, b in zip(starts, ends, strict=True)))


def plan_actors(size_wh: SizeWH, n_frames: int, rate_hz: float, n_objects: int | None, seed: int) -> list[Actor]:
    """Spread the actors evenly over the busy stretches; they stand sorted from far to near."""
    timetable = Timetable.for_video(n_frames, rate_hz)
    if n_objects is None:
        n_objects = _ACTORS_PER_CYCLE * len(timetable.busy)
    actors = []
    for number in range(n_objects):
        rng = np.random.default_rng([seed, 1, number])
        kind: Literal["car", "person"] = "car" if number // len(timetable.busy) % 2 == 0 else "person"
        actors.append(_make_actor(kind, timetable.busy[number % len(timetable.busy)], size_wh, rate_hz, rng))
    return sorted(actors, key=lambda actor: actor.ground_y)


def _make_actor(
    kind: Literal["car", "person"], busy: tuple[int, int], size_wh: SizeWH, rate_hz: float, rng: np.random.Generator
) -> Actor:
    width, height = size_wh
    lane = int(rng.integers(2))
    ground_y = round((_LANES[kind][lane] + rng.uniform(-0.012, 0.012)) * height)
    pictures = _draw_car(ground_y, height, rng) if kind == "car" else _draw_walk(ground_y, height, rng)
    own_width = pictures[0].alpha.shape[1]
    goes_right = lane == 1 if kind == "car" else bool(rng.integers(2))
    widths_per_s = rng.uniform(0.2, 0.4) if kind == "car" else rng.uniform(0.09, 0.14)
    n_busy = busy[1] - busy[0]
    speed_px = max(widths_per_s * width / rate_hz, (width + own_width) / n_busy)
    n_frames = min(n_busy, int(np.ceil((width + own_width) / speed_px)))
    return Actor(
        class_id=STREET_6.id_of(kind),
        ground_y=ground_y,
        first_frame=busy[0] + int(rng.integers(n_busy - n_frames + 1)),
        n_frames=n_frames,
        speed_px=float(speed_px if goes_right else -speed_px),
        start_x=float(-own_width if goes_right else width),
        pictures=pictures if goes_right else tuple(picture.mirrored() for picture in pictures),
    )


def plan_event_actors(events: Sequence[SceneEvent], size_wh: SizeWH, rate_hz: float, seed: int) -> list[Actor]:
    """Return the trucks and parked cars among the events.

    Raises:
        ValueError: a car would leave before it has parked.
    """
    actors = []
    for number, event in enumerate(events):
        rng = np.random.default_rng([seed, 4, number])
        if isinstance(event, PassingTruck):
            actors.append(_make_truck(event, size_wh, rate_hz, rng))
        elif isinstance(event, ParkedCar):
            actors.append(_make_parked_car(event, size_wh, rate_hz, rng))
    return actors


def _make_truck(event: PassingTruck, size_wh: SizeWH, rate_hz: float, rng: np.random.Generator) -> Actor:
    width, height = size_wh
    own_width, own_height = round(_TRUCK_WIDTHS * width), round(_TRUCK_HEIGHT * height)
    drawn = draw_truck(_TRUCK_DRAWN_PX, max(1, round(_TRUCK_DRAWN_PX * own_height / own_width)), rng)
    speed_px = (own_width + width - 2 * _MOST_OF_WIDTH * width) / (event.covers_s * rate_hz)
    return Actor(
        class_id=STREET_6.id_of("truck"),
        ground_y=round(_TRUCK_Y * height),
        first_frame=event.at_frame,
        n_frames=int(np.ceil((width + own_width) / speed_px)),
        speed_px=speed_px,
        start_x=float(-own_width),
        pictures=(drawn.resized(own_width, own_height),),
    )


def _make_parked_car(event: ParkedCar, size_wh: SizeWH, rate_hz: float, rng: np.random.Generator) -> Actor:
    width, height = size_wh
    ground_y = round(_KERB_Y * height)
    pictures = _draw_car(ground_y, height, rng)
    own_width = pictures[0].alpha.shape[1]
    speed_px = _PARKING_WIDTHS_PER_S * width / rate_hz
    stops_after = round((rng.uniform(0.3, 0.6) * width + own_width) / speed_px)
    n_standing = event.leaves_at - event.at_frame - stops_after
    if n_standing < 0:
        soonest = event.at_frame + stops_after
        raise ValueError(f"the car has parked at frame {soonest}, it cannot leave before: {event}")
    return Actor(
        class_id=STREET_6.id_of("car"),
        ground_y=ground_y,
        first_frame=event.at_frame,
        n_frames=n_standing + int(np.ceil((width + own_width) / speed_px)),
        speed_px=speed_px,
        start_x=float(-own_width),
        pictures=pictures,
        stops_after=stops_after,
        n_standing=n_standing,
    )


def _draw_car(ground_y: int, frame_height: int, rng: np.random.Generator) -> tuple[Sprite, ...]:
    height = max(8, round((0.28 * ground_y - 0.02 * frame_height) * rng.uniform(0.92, 1.08)))
    return (draw_car(round(height * rng.uniform(2.4, 2.75)), height, rng),)


def _draw_walk(ground_y: int, frame_height: int, rng: np.random.Generator) -> tuple[Sprite, ...]:
    height = max(12, round((0.38 * ground_y + 0.01 * frame_height) * rng.uniform(0.9, 1.1)))
    outfit = Outfit.random(rng)
    return tuple(draw_person(height // 2, height, outfit, step / _N_PHASES, rng) for step in range(_N_PHASES))
