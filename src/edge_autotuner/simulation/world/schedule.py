"""The conditions of a script at any time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import pairwise

from edge_autotuner.simulation.world.conditions import STEPS, Foliage, Season, WorldConditions
from edge_autotuner.simulation.world.script import HAS_STRENGTH, LIGHTS, WorldEvent, WorldScript, share_of
from edge_autotuner.simulation.world.traffic import Demand

_MAX_DEFOCUS, _MAX_SHAKE_PX, _MAX_EXTRA_NOISE, _MAX_DEAD_PIXELS = 6, 6, 24, 60
_Happening = Sequence[tuple[WorldEvent, float]]
"""Events in the order of their beginnings, with how much of each there is, above 0."""
_SUN: dict[Season, tuple[float, float]] = {
    "winter": (8.0, 16.5),
    "spring": (6.5, 18.5),
    "summer": (5.0, 21.0),
    "autumn": (6.5, 18.0),
}  # rise and set, h


class ScriptedConditions:
    """What a script says about every time; a `Schedule`."""

    def __init__(self, script: WorldScript) -> None:
        self._script = script
        self._at = lru_cache(256)(self._conditions)

    def __repr__(self) -> str:
        return f"ScriptedConditions({self._script!r})"

    def at(self, time_s: float) -> WorldConditions:
        """Return the conditions at a time, seconds of the video."""
        return self._at(time_s * self._script.speed)

    @cached_property
    def _starts_h(self) -> float:
        hours, minutes = self._script.starts_at.split(":")
        return int(hours) + int(minutes) / 60

    @cached_property
    def _events(self) -> tuple[WorldEvent, ...]:
        return tuple(sorted(self._script.events, key=lambda e: e.at))

    @cached_property
    def _absent(self) -> dict[str, float]:
        """Kinds that are there only while an event says so."""
        return {event.kind: 0.0 for event in self._events if event.kind is not None}

    @cached_property
    def _light_events(self) -> tuple[WorldEvent, ...]:
        return tuple(event for event in self._events if event.what in LIGHTS)

    def _conditions(self, time_s: float) -> WorldConditions:
        script, levels = self._script, [(event, event.level(time_s)) for event in self._events]
        now = [(event, level) for event, level in levels if level > 0]
        hour = (self._starts_h + time_s / 3600) % 24
        foliage, steps = self._foliage(now), _strengths(now)
        daylight, has_infrared = self._daylight(now, hour, foliage)
        return WorldConditions(
            daylight=daylight, has_infrared=has_infrared, overcast=steps["clouds"], rain=steps["rain"],
            fog=steps["fog"], snow=steps["snow"], season=foliage.season,
            season_before=foliage.before, season_step=foliage.step, dirt=steps["dirty-lens"],
            noise=int(2 * script.noise + 0.5) + steps["sensor"] * _MAX_EXTRA_NOISE // STEPS,
            n_dead_pixels=steps["sensor"] * _MAX_DEAD_PIXELS // STEPS,
            defocus=steps["defocus"] * _MAX_DEFOCUS // STEPS,
            shake_px=max(script.shake, (steps["shake"] * _MAX_SHAKE_PX + STEPS - 1) // STEPS),
            compression=script.compression, turn=_turn(now),
            sun=_sun_at(hour) if script.daylight == "cycle" else None,
            demand=self._demand(now, hour),
        )  # fmt: skip

    def _foliage(self, now: _Happening) -> Foliage:
        foliage = Foliage(self._script.season)
        for event, level in now:
            if event.what == "season" and event.season is not None:
                foliage = _turned(foliage, event.season, level)
        return foliage

    def _demand(self, now: _Happening, hour: float) -> Demand:
        traffic = self._script.traffic
        for event, _ in now:
            if event.what == "traffic" and event.factor is not None:
                traffic *= event.factor
        if self._script.daylight == "cycle":
            traffic *= _traffic_at(hour)
        shares: dict[str, float] = dict(self._script.shares.items())
        shares |= self._absent | _new_shares(now)
        return Demand(traffic, shares or None, any(event.what == "roadworks" for event, _ in now))

    def _daylight(self, now: _Happening, hour: float, foliage: Foliage) -> tuple[int, bool]:
        """Return the step of daylight and whether the camera may switch to infrared."""
        script = self._script
        if script.daylight == "cycle":
            rise, fall = (
                math.fsum(foliage.share_of(name) * hours[end] for name, hours in _SUN.items()) / STEPS for end in (0, 1)
            )
            above = min(hour - rise, fall - hour)  # hours since sunrise or until sunset
            step = 13 + (above * 17 if above < 0 else above * 10)
            return int(max(0.0, min(float(STEPS), step))), script.night == "infrared"
        level, has_infrared = float(STEPS), script.night == "infrared"
        if self._light_events and self._light_events[0].what == "dawn":
            level = 0.0  # a script that begins with a dawn begins at night
        for event, share in now:
            if event.what in LIGHTS:
                level += (LIGHTS[event.what] - level) * share
            if event.what in ("night", "infrared"):
                has_infrared = event.what == "infrared" or script.night == "infrared"
        return int(level + 0.5), has_infrared


def _strengths(now: _Happening) -> dict[str, int]:
    """Return how strong everything with a strength is, 0 to `STEPS`."""
    strength = dict.fromkeys(HAS_STRENGTH, 0.0)
    for event, level in now:
        if event.what in strength:
            strength[event.what] = max(strength[event.what], event.strength * level)
    return {name: int(value * STEPS + 0.5) for name, value in strength.items()}


def _turn(now: _Happening) -> tuple[int, int]:
    """Return how far all turns together turned the camera right and down, hundredths of a degree."""
    right = down = 0.0
    for event, level in now:
        right, down = right + event.right * level, down + event.down * level
    return int(right * 100 // 1), int(down * 100 // 1)


def _new_shares(now: _Happening) -> dict[str, float]:
    return {event.kind: share_of(event) for event, _ in now if event.kind is not None}


def _turned(foliage: Foliage, season: Season, level: float) -> Foliage:
    """Return the season that has come so far, on top of the one before."""
    mostly = foliage.season if foliage.before is None or 2 * foliage.step >= STEPS else foliage.before
    step = int(level * STEPS + 0.5)
    if step == STEPS or season == mostly:
        return Foliage(season)
    return Foliage(season, mostly, step) if step else Foliage(mostly)


def _traffic_at(hour: float) -> float:
    """Return how busy it is at a time of day, 1 at noon."""
    marks = ((0.0, 0.12), (5.0, 0.12), (8.0, 1.25), (12.0, 1.0), (17.0, 1.3), (21.0, 0.5), (24.0, 0.12))
    for (start, low), (end, high) in pairwise(marks):
        if start <= hour <= end:
            return low + (high - low) * (hour - start) / (end - start)
    return 1.0


def _sun_at(hour: float) -> tuple[int, int]:
    """Return where a point 1 m high throws its shadow, tenths of metres to the right and away."""
    x = max(-1.0, min(1.0, (hour - 13) / 7))  # morning to evening
    return int(24 * x), int(5 + 8 * x * x)
