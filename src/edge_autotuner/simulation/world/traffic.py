"""Who is where at a moment: a closed form of time, so that any frame can be asked for at once.

Lanes, walks and bays are divided into numbered slots. What a slot holds follows from hashed numbers; at any moment only
the few slots whose occupants are in the scene are looked at. Nothing is remembered but what may be forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from edge_autotuner.core import STREET_6
from edge_autotuner.simulation.world.companions import COMPANION_KINDS, DOG_STRIDE_M, N_LOOKS, Companion
from edge_autotuner.simulation.world.exact import Draws, turns_of
from edge_autotuner.simulation.world.layouts import Bay, Ground, Lane, Layout, Walk
from edge_autotuner.simulation.world.people import STRIDE_HEIGHTS, Body, Gait
from edge_autotuner.simulation.world.vehicles import N_COLOURS, N_SHAPES, VEHICLE_KINDS, VehicleKind, VehicleModel

N_BODIES = 24
_CLASS_OF = {
    "car": "car",
    "van": "car",
    "bus": "bus",
    "truck": "truck",
    "motorcycle": "motorcycle",
    "bicycle": "bicycle",
}
CLASS_IDS = {kind: STREET_6.id_of(name) for kind, name in _CLASS_OF.items()}
PERSON = STREET_6.id_of("person")
NO_CLASS = -1
_SPEEDS = {"walk": (1.15, 1.6), "stroll": (0.7, 1.0), "run": (2.5, 3.4)}  # m/s
_SLOWEST_MPS, _LONGEST_PAUSE_S = 0.7, 30.0
_GROUP_SIZES = {1: 0.66, 2: 0.24, 3: 0.07, 4: 0.03}
_PARK_MPS = 3.5
_FIRST_COMPANION = 5  # its number in a group; people come before
_PER_SOURCE = 1_000_000_000  # track ids of one lane, walk or bay


@dataclass(frozen=True)
class Demand:
    """How busy the scene is when somebody enters it.

    Attributes:
        traffic: multiplies the numbers of vehicles and people.
        shares: of some kinds among the vehicles on the road, instead of the lanes' own; 0 keeps a kind away. Also of
            `person`, `dog` and `pushchair` among the groups that walk; without them all are people.
        has_works: roadworks close some lanes.
    """

    traffic: float = 1.0
    shares: Mapping[str, float] | None = None
    has_works: bool = False


@dataclass(frozen=True)
class Thing:
    """One object at one moment.

    Attributes:
        track_id: the same in all frames.
        class_id: in `STREET_6`; `NO_CLASS` for a dog or a pushchair.
        place: on the ground.
        heading: turns, 0 along X, a quarter along Y.
        model: of a vehicle, else None.
        body: of a person, else None.
        companion: a dog or a pushchair, else None.
        gait: of a person.
        stride: how far on in a stride, turns.
        is_parked: its driver is not in it.
    """

    track_id: int
    class_id: int
    place: Ground
    heading: float
    model: VehicleModel | None = None
    body: Body | None = None
    gait: Gait = "stand"
    stride: float = 0.0
    is_parked: bool = False
    companion: Companion | None = None

    @property
    def kind(self) -> str:
        """What it is: a class of `STREET_6`, or a kind of companion."""
        return self.companion.kind if self.companion is not None else STREET_6[self.class_id]


class Line:
    """A path of straight pieces, measured in metres from its beginning."""

    def __init__(self, points: tuple[Ground, ...]) -> None:
        self.points = points
        self.marks = [0.0]
        (x0, y0), (x1, y1) = points[:2]
        first = _length(points[0], points[1])
        self.across = (y0 - y1) / first, (x1 - x0) / first  # to the left of the first piece
        self._headings = []
        for start, end in pairwise(points):
            length = _length(start, end)
            self._headings.append(turns_of(end[1] - start[1], end[0] - start[0]))
            self.marks.append(self.marks[-1] + length)

    @property
    def length_m(self) -> float:
        """Length of the whole path."""
        return self.marks[-1]

    def at(self, done_m: float) -> tuple[Ground, float]:
        """Return place and heading after this many metres."""
        piece = 0
        while piece < len(self.marks) - 2 and done_m > self.marks[piece + 1]:
            piece += 1
        (x0, y0), (x1, y1) = self.points[piece], self.points[piece + 1]
        length = self.marks[piece + 1] - self.marks[piece]
        share = (done_m - self.marks[piece]) / max(length, 1e-9)
        return (x0 + share * (x1 - x0), y0 + share * (y1 - y0)), self._headings[piece]


class Traffic:
    """All lanes, walks and bays of a layout.

    Args:
        layout: what there is.
        seed: another seed, other people and vehicles in the same scene.
        demand_at: how busy it is at a time, seconds of the video.
    """

    def __init__(self, layout: Layout, seed: int, demand_at: Callable[[float], Demand]) -> None:
        self._seed, self._demand_at = seed, demand_at
        self._lanes = [(n, lane, Line(lane.points)) for n, lane in enumerate(layout.lanes)]
        walks = (*layout.walks, *layout.verges)
        self._walks = [(100 + n, walk, Line(walk.points)) for n, walk in enumerate(walks)]
        self._first_verge = 100 + len(layout.walks)
        self._phases = [Draws(seed, 200 + n).unit() for n in range(len(layout.bays))]
        self._bays = [(200 + n, bay, Line(bay.way_in), Line(bay.way_out)) for n, bay in enumerate(layout.bays)]
        self._vehicle = lru_cache(4096)(self._plan_vehicle)
        self._group = lru_cache(4096)(self._plan_group)
        self._parked = lru_cache(1024)(self._plan_parked)

    def things_at(self, time_s: float) -> Iterator[Thing]:
        """Yield what is in the scene at a moment, in no special order."""
        for number, lane, line in self._lanes:
            done = _lane_progress(lane, time_s)
            for slot in range(_floor((done - line.length_m) / lane.gap_m) - 1, _floor(done / lane.gap_m) + 1):
                vehicle = self._vehicle(number, slot)
                if vehicle is None:
                    continue
                at = done - slot * lane.gap_m - vehicle.behind_m
                if 0 <= at <= line.length_m:
                    yield from self._riding(vehicle, *line.at(at), at)
        for number, walk, line in self._walks:
            every, longest_s = 60.0 / walk.per_minute, line.length_m / _SLOWEST_MPS + _LONGEST_PAUSE_S
            for slot in range(_floor((time_s - longest_s) / every) - 1, _floor(time_s / every) + 1):
                for walker in self._group(number, slot):
                    if walker.starts_s <= time_s < walker.ends_s:
                        yield self._walking(walker, line, time_s)
        for number, bay, way_in, way_out in self._bays:
            yield from self._parking(number, bay, (way_in, way_out), time_s)

    def _riding(self, vehicle: _Vehicle, place: Ground, heading: float, at: float) -> Iterator[Thing]:
        yield Thing(vehicle.track_id, CLASS_IDS[vehicle.model.kind], place, heading, model=vehicle.model)
        if vehicle.rider is not None:
            stride = at / (STRIDE_HEIGHTS["ride"] * vehicle.rider.height_m) if vehicle.model.kind == "bicycle" else 0.3
            yield Thing(vehicle.track_id + 1, PERSON, place, heading, body=vehicle.rider, gait="ride", stride=stride)

    def _plan_vehicle(self, source: int, slot: int) -> _Vehicle | None:
        lane = self._lanes[source][1]
        draws = Draws(self._seed, source, slot)
        enters_s = _lane_time(lane, slot * lane.gap_m)
        demand = self._demand_at(enters_s)
        density = min(0.95, lane.density * demand.traffic)
        if draws.unit() >= density or (lane.is_closed_by_works and demand.has_works):
            return None
        shares = _with_shares(lane.shares, demand.shares)
        if not any(shares.values()):
            return None
        kind = draws.weighted(shares)
        model = VehicleModel(kind, draws.below(N_SHAPES), draws.below(N_COLOURS))  # type: ignore[arg-type]
        length = model.size.length
        behind = draws.between(0.0, max(0.1, lane.gap_m - length - 4.0)) + length / 2
        rider = Body.number(draws.below(N_BODIES)) if kind in ("bicycle", "motorcycle") else None
        return _Vehicle(_track(source, slot, 0), model, behind, rider)

    def _walking(self, walker: _Walker, line: Line, time_s: float) -> Thing:
        since = time_s - walker.starts_s
        walked = min(since, walker.pauses_after_s) + max(0.0, since - walker.pauses_after_s - walker.pause_s)
        done = walked * walker.speed_mps
        stands = walker.pauses_after_s <= since < walker.pauses_after_s + walker.pause_s
        along = min(done + walker.ahead_m, line.length_m)
        (x, y), heading = line.at(line.length_m - along if walker.goes_back else along)
        heading += 0.5 if walker.goes_back else 0.0
        place = x + walker.beside_m * line.across[0], y + walker.beside_m * line.across[1]
        if walker.companion is not None:
            return Thing(walker.track_id, NO_CLASS, place, heading, gait="stand" if stands else walker.gait,
                         stride=done / DOG_STRIDE_M, companion=walker.companion)  # fmt: skip
        stride = done / (STRIDE_HEIGHTS[walker.gait] * walker.body.height_m)
        return Thing(
            walker.track_id, PERSON, place, heading + (walker.looks if stands else 0.0), body=walker.body,
            gait="stand" if stands else walker.gait, stride=stride,
        )  # fmt: skip

    def _plan_group(self, source: int, slot: int) -> tuple[_Walker, ...]:
        _, walk, line = self._walks[source - 100]
        draws, newcomers = Draws(self._seed, source, slot), Draws(self._seed, source, slot, 7)
        every = 60.0 / walk.per_minute
        starts = (slot + draws.unit()) * every
        demand = self._demand_at(starts)
        chance, shares = min(1.0, demand.traffic * 0.8), demand.shares or {}
        n = draws.weighted(_GROUP_SIZES) if draws.unit() < chance else 0
        leader = _leader(walk, line, starts, draws)
        if newcomers.unit() >= shares.get("person", 0.0 if source >= self._first_verge else 1.0):
            n = 0
        members = [
            _member(leader, _track(source, slot, number), 0.62 * (number - (n - 1) / 2), line, draws)
            for number in range(n)
        ]
        first = members[0] if members else _without_pause(leader, line)
        members += _companions(first, _track(source, slot, _FIRST_COMPANION), shares, chance, newcomers)
        return tuple(members)

    def _parking(self, source: int, bay: Bay, ways: tuple[Line, Line], time_s: float) -> Iterator[Thing]:
        phase = self._phases[source - 200]
        slot = _floor(time_s / bay.stay_s + phase)
        parked = self._parked(source, slot)
        if parked is None:
            return
        starts = (slot - phase) * bay.stay_s
        way_in, way_out = ways
        in_s, out_s = way_in.length_m / _PARK_MPS, way_out.length_m / _PARK_MPS
        since, left = time_s - starts, starts + bay.stay_s - time_s
        if since < in_s:
            place, heading = way_in.at(since * _PARK_MPS)
        elif left < out_s:
            done = (out_s - left) * _PARK_MPS
            place, heading = way_out.at(done)
            heading += 0.5 if bay.n_reversed and done <= way_out.marks[min(bay.n_reversed, 2) - 1] else 0.0
        else:
            yield parked
            return
        yield replace(parked, place=place, heading=heading, is_parked=False)

    def _plan_parked(self, source: int, slot: int) -> Thing | None:
        """Return the vehicle of a slot where it stands."""
        _, bay, way_in, way_out = self._bays[source - 200]
        draws = Draws(self._seed, source, slot, 1)
        way = (way_in.length_m + way_out.length_m) / _PARK_MPS
        if draws.unit() >= bay.occupied or way > 0.8 * bay.stay_s:
            return None
        kind: VehicleKind = "van" if draws.unit() < 0.1 else "car"
        model = VehicleModel(kind, draws.below(N_SHAPES), draws.below(N_COLOURS))
        place, heading = way_in.at(way_in.length_m)
        return Thing(_track(source, slot, 0), CLASS_IDS[kind], place, heading, model=model, is_parked=True)


@dataclass(frozen=True)
class _Vehicle:
    track_id: int
    model: VehicleModel
    behind_m: float
    rider: Body | None


@dataclass(frozen=True)
class _Walker:
    track_id: int
    body: Body
    starts_s: float
    ends_s: float
    speed_mps: float
    goes_back: bool
    beside_m: float
    gait: Gait
    pauses_after_s: float
    pause_s: float
    looks: float
    companion: Companion | None = None
    ahead_m: float = 0.0


def _leader(walk: Walk, line: Line, starts_s: float, draws: Draws) -> _Walker:
    """Return how a group walks; nobody in particular."""
    gait: Gait = draws.weighted(walk.paces)
    speed = draws.between(*_SPEEDS[gait])
    goes_back = draws.unit() < 0.5
    beside = draws.between(-walk.half_width_m, walk.half_width_m)
    pauses = draws.unit() < walk.pause_share and gait != "run"
    pause_at, pause_s = draws.between(6.0, 30.0), draws.between(6.0, _LONGEST_PAUSE_S) if pauses else 0.0
    ends_s = starts_s + line.length_m / speed
    return _Walker(
        0, Body.number(0), starts_s, ends_s, speed, goes_back, beside, gait, pause_at, pause_s, looks=0.0
    )  # fmt: skip


def _member(leader: _Walker, track_id: int, aside_m: float, line: Line, draws: Draws) -> _Walker:
    looks = draws.between(-0.3, 0.3)
    body, starts_s = Body.number(draws.below(N_BODIES)), leader.starts_s + draws.between(0, 0.5)
    walked_s = line.length_m / leader.speed_mps
    ends_s = starts_s + walked_s + (leader.pause_s if leader.pauses_after_s < walked_s else 0.0)
    return replace(
        leader, track_id=track_id, body=body, starts_s=starts_s, ends_s=ends_s, beside_m=leader.beside_m + aside_m,
        looks=looks,
    )  # fmt: skip


def _without_pause(walker: _Walker, line: Line) -> _Walker:
    return replace(walker, pauses_after_s=0.0, pause_s=0.0, ends_s=walker.starts_s + line.length_m / walker.speed_mps)


def _companions(
    walker: _Walker, first_id: int, shares: Mapping[str, float], chance: float, draws: Draws
) -> list[_Walker]:
    """Return the dog beside somebody and the pushchair before them, if there are."""
    found = []
    for number, kind in enumerate(COMPANION_KINDS):
        if draws.unit() < shares.get(kind, 0.0) * chance:
            aside, ahead = (0.7, 0.3) if kind == "dog" else (0.0, 0.75)
            found.append(replace(
                walker, track_id=first_id + number, companion=Companion(kind, draws.below(N_LOOKS)),
                beside_m=walker.beside_m - aside, ahead_m=ahead, looks=0.0,
            ))  # fmt: skip
    return found


def _with_shares(shares: Mapping[str, float], set_shares: Mapping[str, float] | None) -> Mapping[str, float]:
    """Return the shares with some of them set; the others keep their proportions.

    Cycle tracks stay cycle tracks: of their kinds only those that are kept away are missing.
    """
    set_shares = {kind: share for kind, share in (set_shares or {}).items() if kind in VEHICLE_KINDS}
    if not set_shares:
        return shares
    if "car" not in shares:
        return {kind: share for kind, share in shares.items() if set_shares.get(kind) != 0}
    others = math.fsum(share for kind, share in shares.items() if kind not in set_shares)
    rest = max(0.0, 1 - math.fsum(set_shares.values())) / others if others else 0.0
    return {kind: set_shares.get(kind, rest * shares.get(kind, 0.0)) for kind in VEHICLE_KINDS}


def _length(start: Ground, end: Ground) -> float:
    dx, dy = end[0] - start[0], end[1] - start[1]
    return math.sqrt(dx * dx + dy * dy)


def _track(source: int, slot: int, member: int) -> int:
    return source * _PER_SOURCE + (slot % (_PER_SOURCE // 8)) * 8 + member


def _floor(value: float) -> int:
    return int(value // 1)


def _lane_progress(lane: Lane, time_s: float) -> float:
    """Return how far the lane as a whole has moved: it stands at the end of each period, with gentle ramps."""
    if lane.stop_s <= 0:
        return lane.speed_mps * time_s
    period, ramp = lane.stop_every_s, 3.0
    cycle = _floor(time_s / period)
    t = time_s - cycle * period
    goes = period - lane.stop_s  # it drives from 0 to `goes`, the ramps included
    per_cycle = lane.speed_mps * (goes - ramp)
    if t < ramp:
        done = lane.speed_mps * t * t / (2 * ramp)
    elif t < goes - ramp:
        done = lane.speed_mps * (t - ramp / 2)
    elif t < goes:
        left = goes - t
        done = per_cycle - lane.speed_mps * left * left / (2 * ramp)
    else:
        done = per_cycle
    return cycle * per_cycle + done


def _lane_time(lane: Lane, done_m: float) -> float:
    """Return about when the lane had moved so far, within a period."""
    if lane.stop_s <= 0:
        return done_m / lane.speed_mps
    return done_m / (lane.speed_mps * (lane.stop_every_s - lane.stop_s - 3.0)) * lane.stop_every_s
