"""Scripts of a simulated world, in YAML: which camera, how long, and what happens when."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator, field_validator, model_validator

from edge_autotuner.config.base import FrozenConfig, Seconds
from edge_autotuner.config.loader import place_in_file, resolve_settings
from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import ConfigError
from edge_autotuner.simulation.world.camera import SIDES, can_be_drawn
from edge_autotuner.simulation.world.companions import CompanionKind
from edge_autotuner.simulation.world.conditions import STEPS, Season
from edge_autotuner.simulation.world.layouts import SceneType
from edge_autotuner.simulation.world.vehicles import VEHICLE_KINDS, VehicleKind

EventKind = Literal[
    "dusk", "night", "infrared", "dawn", "clouds", "rain", "snow", "fog", "turn", "dirty-lens", "sensor", "defocus",
    "shake", "new-class", "roadworks", "season", "traffic",
]  # fmt: skip
NewKind = Literal[VehicleKind, "person", CompanionKind]
LIGHTS: dict[str, int] = {"dusk": 12, "night": 0, "infrared": 0, "dawn": STEPS}
"""Events that change the light -> step of daylight that they lead to."""
HAS_STRENGTH = {"clouds", "rain", "snow", "fog", "dirty-lens", "sensor", "defocus", "shake"}
"""Events with a strength of their own."""

READY_SCRIPTS = ("dynamic", "semi-repetitive", "repetitive", "quiet-day", "week")

_DAY_S = 86_400.0
_MAX_OCCURRENCES = 10_000
_DEFAULT_SHARE = 0.2
_MAX_EVENTS, _MAX_TOLD = 500, 10
_ZERO = re.compile(r"0(\.0{1,9})?\s*(s|sec|m|min|h|d)?")
_OWN_FIELDS: dict[str, tuple[str, ...]] = {
    "kind": ("new-class",), "share": ("new-class",), "right": ("turn",), "down": ("turn",), "season": ("season",),
    "factor": ("traffic",),
}  # fmt: skip
_NEEDED: dict[str, tuple[str, ...]] = {"new-class": ("kind",), "season": ("season",), "traffic": ("factor",)}


def _zero_or(value: object, read: ValidatorFunctionWrapHandler) -> float:
    if isinstance(value, str):
        is_zero = _ZERO.fullmatch(value.strip()) is not None
    else:
        is_zero = isinstance(value, int | float) and not isinstance(value, bool) and value == 0
    return 0.0 if is_zero else float(read(value))


SecondsOrZero = Annotated[Seconds, WrapValidator(_zero_or)]
"""A duration, or nothing."""


class WorldEvent(FrozenConfig):
    """Something that happens.

    It comes gradually within `fade`, stays, and has gone again at the end of `for`; without `for` it stays to the end.
    """

    what: EventKind = Field(description="What happens.")
    at: SecondsOrZero = Field(0, description="When it begins, simulated time from the beginning, e.g. 2h.")
    for_: Seconds | None = Field(None, alias="for", description="How long until it has gone again; to the end if none.")
    fade: SecondsOrZero = Field(0, description="How long it takes to come and to go.")
    strength: float = Field(0.7, gt=0, le=1, description="Of rain, fog, snow, clouds, dirt, noise, defocus or shake.")
    every: Seconds | None = Field(None, description="It happens again after this, from one beginning to the next.")
    times: int | None = Field(
        None, ge=1, le=1_000_000, description="How often it happens; as often as it fits if none."
    )
    kind: NewKind | None = Field(None, description="Of new-class: what was not there before.")
    share: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Of new-class: share of all vehicles; of people, dogs and pushchairs: of the groups that walk.",
    )
    right: float = Field(0, ge=-45, le=45, description="Of turn: degrees to the right.")
    down: float = Field(0, ge=-15, le=15, description="Of turn: degrees down.")
    season: Season | None = Field(None, description="Of season.")
    factor: float | None = Field(None, ge=0, le=3, description="Of traffic: multiplies vehicles and people.")

    @model_validator(mode="after")
    def _check_fields(self) -> Self:
        for name, kinds in _OWN_FIELDS.items():
            if name in self.model_fields_set and self.what not in kinds:
                raise ValueError(f"'{name}' belongs to {' and '.join(kinds)}, not to {self.what}")
        for name in _NEEDED.get(self.what, ()):
            if getattr(self, name) is None:
                raise ValueError(f"{self.what} needs '{name}'")
        if "strength" in self.model_fields_set and self.what not in HAS_STRENGTH:
            raise ValueError(f"'strength' does not belong to {self.what}")
        if self.what == "turn" and self.right == 0 and self.down == 0:
            raise ValueError("turn needs 'right' or 'down', degrees")
        return self

    def problem(self, length_s: float) -> tuple[str, str] | None:
        """Return the key and the text of what contradicts itself or the length of the script; None if nothing does."""
        if self.at >= length_s:
            return "at", f"begins at {self.at:g} s, after the end of the script at {length_s:g} s"
        if self.for_ is not None and self.for_ < 2 * self.fade:
            return "fade", f"coming and going take {2 * self.fade:g} s, but the event ends after {self.for_:g} s"
        if self.times is not None and self.every is None:
            return "times", "says how often the event happens, but 'every' is missing"
        if self.every is not None and self.for_ is None:
            return "every", "an event that happens again needs an end; give 'for'"
        if self.every is not None and self.for_ is not None and self.every < self.for_:
            return "every", f"begins again after {self.every:g} s, before it has ended after {self.for_:g} s"
        if self.every is not None and (length_s - self.at) / self.every > _MAX_OCCURRENCES:
            return "every", f"happens more than {_MAX_OCCURRENCES} times"
        return None

    def n_times(self, length_s: float) -> float:
        """Return how often it happens at most, for an event without a problem."""
        n = 1 if self.every is None else -((self.at - length_s) // self.every)
        return n if self.times is None else min(n, self.times)

    def spans(self, length_s: float) -> Iterator[tuple[float, float]]:
        """Yield beginning and end of each time that it happens; the end may be after that of the script."""
        end = length_s if self.for_ is None else self.for_
        number = 0
        while self.at + number * (self.every or 0.0) < length_s:
            start = self.at + number * (self.every or 0.0)
            yield start, max(length_s, start) if self.for_ is None else start + end
            number += 1
            if self.every is None or number == self.times:
                return

    def level(self, time_s: float) -> float:
        """Return how much of it there is at a time, 0 to 1."""
        since = time_s - self.at
        if since < 0:
            return 0.0
        if self.every is not None:
            number = int(since // self.every)
            if self.times is not None and number >= self.times:
                return 0.0
            since -= number * self.every
        if self.for_ is not None and since >= self.for_:
            return 0.0
        level = 1.0 if self.fade == 0 else min(1.0, since / self.fade)
        if self.for_ is not None and self.fade > 0:
            level = min(level, (self.for_ - since) / self.fade)
        return level


class WorldScript(FrozenConfig):
    """A camera in the simulated world, and what happens before it."""

    scene: SceneType = Field("street", description="Type of the scene.")
    camera: int = Field(0, ge=0, le=9999, description="Number of the camera: another one sees another place.")
    size: str = Field("640x360", pattern=r"^[1-9]\d{0,4}x[1-9]\d{0,4}$", description="Size of the pictures.")
    rate: float = Field(10.0, ge=0.001, le=100, description="Pictures per second.")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Of people, vehicles, noise and weather.")
    length: Seconds = Field(60.0, description="Simulated time, e.g. 7d.")
    day: Seconds = Field(
        _DAY_S,
        ge=1,
        description="How long a simulated day lasts in the video. Objects keep their speed; light and events hurry.",
    )
    starts_at: str = Field("12:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="Time of day at the beginning.")
    daylight: Literal["noon", "cycle"] = Field(
        "noon",
        description="Always noon, but for events; or the light of the time of day, with traffic that follows it.",
    )
    night: Literal["colour", "infrared"] = Field("colour", description="What the camera does in the dark.")
    season: Season = Field("summer", description="Season at the beginning.")
    traffic: float = Field(1.0, ge=0, le=3, description="Multiplies vehicles and people.")
    shares: dict[VehicleKind, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict, description="Of kinds among the vehicles on the road, e.g. {bus: 0.002}."
    )
    noise: float = Field(2.0, ge=0, le=16, description="Sensor noise by day, grey levels.")
    compression: int = Field(1, ge=0, le=3, description="How coarse the codec is, 0 not at all.")
    shake: int = Field(0, ge=0, le=6, description="How far the picture shakes, pixels.")
    events: tuple[WorldEvent, ...] = Field((), max_length=_MAX_EVENTS, description="What happens, in any order.")

    @field_validator("size")
    @classmethod
    def _check_size(cls, size: str) -> str:
        if not can_be_drawn(_size_of(size)):
            raise ValueError(SIDES)
        return size

    @property
    def size_wh(self) -> SizeWH:
        """Width and height of the pictures."""
        return _size_of(self.size)

    @property
    def speed(self) -> float:
        """Simulated seconds in a second of the video."""
        return _DAY_S / self.day

    @property
    def n_frames(self) -> int:
        """Number of pictures."""
        return max(1, round(self.length / self.speed * self.rate))

    def problems(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield keys and texts of what contradicts itself."""
        for number, event in enumerate(self.events):
            found = event.problem(self.length)
            if found is not None:
                yield ("events", str(number), found[0]), found[1]
            if event.what in LIGHTS and self.daylight == "cycle":
                yield (
                    ("events", str(number), "what"),
                    f"{event.what} contradicts 'daylight: cycle', which sets the light",
                )
        if sum(self.shares.values()) > 1:
            yield ("shares",), f"add up to {sum(self.shares.values()):g}, more than 1"
        for number, event in enumerate(self.events):
            if event.what == "new-class" and event.kind in self.shares and self.shares[event.kind] > 0:
                yield (
                    ("events", str(number), "kind"),
                    f"{event.kind} is no new class: 'shares' has it from the beginning",
                )
        n_times = math.fsum(event.n_times(self.length) for event in self.events if event.problem(self.length) is None)
        if n_times > _MAX_OCCURRENCES:
            yield ("events",), f"happen {n_times:.0f} times together, more than {_MAX_OCCURRENCES}"
        else:
            yield from self._overlaps()
            yield from self._excessive_shares()

    def _excessive_shares(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield the events that, with `shares` and other events, ask for more than all vehicles."""
        of_vehicles = [
            (number, event) for number, event in enumerate(self.events)
            if event.kind in VEHICLE_KINDS and event.problem(self.length) is None
        ]  # fmt: skip
        changes = sorted(
            (time_s, change * share_of(event), number)
            for number, event in of_vehicles
            for span in event.spans(self.length)
            for time_s, change in zip(span, (1, -1), strict=True)
        )
        total, told = math.fsum(self.shares.values()), set[int]()
        for _, change, number in changes:  # at one moment, what ends comes first
            total += change
            if change > 0 and total > 1 + 1e-9 and number not in told:
                told.add(number)
                yield ("events", str(number), "share"), f"the shares of vehicles add up to {total:g} then, more than 1"

    def _overlaps(self) -> Iterator[tuple[tuple[str, ...], str]]:
        spans = []
        for number, event in enumerate(self.events):
            if event.problem(self.length) is None:
                spans += [(start, end, number, _group_of(event)) for start, end in event.spans(self.length)]
        latest: dict[str, tuple[float, int]] = {}
        told = set()
        for start, end, number, group in sorted(spans):
            last_end, last_number = latest.get(group, (0.0, -1))
            may_follow = self.events[last_number].for_ is None and group in ("light", "season", "traffic")
            if last_number >= 0 and start < last_end and not may_follow and (number, last_number) not in told:
                told.add((number, last_number))
                yield (
                    ("events", str(number), "at"),
                    f"{self.events[number].what} begins at {start:g} s, but {self.events[last_number].what} "
                    f"(event {last_number + 1}) lasts until {last_end:g} s",
                )
            if end >= last_end:
                latest[group] = (end, number)


def _size_of(text: str) -> SizeWH:
    width, height = text.split("x")
    return int(width), int(height)


def share_of(event: WorldEvent) -> float:
    """Return the share of a `new-class`, which has a default."""
    return event.share or _DEFAULT_SHARE


def _group_of(event: WorldEvent) -> str:
    """Return the properties that only one event at a time can set."""
    if event.what in LIGHTS:
        return "light"
    return f"new-class {event.kind}" if event.what == "new-class" else event.what


def load_script(script: Path | str, overrides: dict[str, Any] | None = None) -> WorldScript:
    """Read a script.

    Args:
        script: a YAML file, or the name of one of `READY_SCRIPTS`.
        overrides: dotted keys that replace those of the file; None values are ignored.

    Raises:
        ConfigError: with file, line and key of what is wrong.
    """
    path = Path(script)
    if str(script) in READY_SCRIPTS and not path.exists():
        path = Path(str(files("edge_autotuner.simulation.world") / "scripts" / f"{script}.yaml"))
    elif not path.exists() and path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"no script '{script}'; give a YAML file, or one of {', '.join(READY_SCRIPTS)}")
    loaded = resolve_settings(WorldScript, path, overrides or {})
    found = islice(loaded.problems(), _MAX_TOLD)
    problems = [f"{place_in_file(path, keys)}{'.'.join(keys)}: {text}" for keys, text in found]
    if problems:
        raise ConfigError("; ".join(problems))
    return loaded
