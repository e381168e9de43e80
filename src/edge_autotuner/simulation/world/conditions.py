"""Light, weather, camera and demand at one moment.

All in whole steps, so that a picture made for one step serves many frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from edge_autotuner.simulation.world.traffic import Demand

Season = Literal["spring", "summer", "autumn", "winter"]

STEPS = 32
"""Whole steps between nothing and full strength."""

_DAY, _DUSK, _NIGHT = (128, 128, 128), (84, 86, 100), (14, 11, 9)  # blue, green, red of the light, 128 is noon
_DUSK_AT = 13  # step of daylight at which the sun stands on the horizon


@dataclass(frozen=True)
class Foliage:
    """The season that grass and trees show: one, or one that becomes another.

    Attributes:
        season: that it is, or becomes.
        before: that it was; None if it does not change now.
        step: how far it has become the new one, 0 to `STEPS`.
    """

    season: Season = "summer"
    before: Season | None = None
    step: int = STEPS

    def share_of(self, season: Season) -> int:
        """Return how much of a season there is, 0 to `STEPS`."""
        if self.before is None:
            return STEPS if season == self.season else 0
        return (self.step if season == self.season else 0) + (STEPS - self.step if season == self.before else 0)

    def colour(self, colours: Mapping[Season, tuple[int, int, int]]) -> tuple[int, int, int]:
        """Return the colour of this season out of those of all."""
        shares = {season: self.share_of(season) for season in colours}
        blue, green, red = (
            sum(share * colours[season][part] for season, share in shares.items()) // STEPS for part in range(3)
        )
        return blue, green, red


@dataclass(frozen=True)
class WorldConditions:
    """What the world and its camera are like; the defaults are a calm summer noon.

    Strengths are whole numbers from 0 to `STEPS`.

    Attributes:
        daylight: 0 night to `STEPS` noon; about 13 is sunset.
        has_infrared: the camera switches to infrared light where it is darker than 6.
        overcast: how much of the shadows clouds take away.
        rain, fog, snow: falling rain, fog, and snow on the ground.
        season: colours of grass and trees.
        season_before, season_step: while the season changes: that from which, and how far, 0 to `STEPS`.
        dirt: on the lens.
        noise: deviation of the sensor noise by day, half grey levels.
        n_dead_pixels: pixels that show white.
        defocus: how often the picture is blurred, 0 to 6.
        shake_px: largest offset from frame to frame, pixels.
        compression: coarseness of the blocks, 0 to 3.
        turn: how far somebody turned the camera right and down, hundredths of a degree.
        sun: where a point 1 m high throws its shadow, tenths of metres to the right and away; None: the layout's own.
        demand: how busy it is.
    """

    daylight: int = STEPS
    has_infrared: bool = False
    overcast: int = 0
    rain: int = 0
    fog: int = 0
    snow: int = 0
    season: Season = "summer"
    season_before: Season | None = None
    season_step: int = STEPS
    dirt: int = 0
    noise: int = 4
    n_dead_pixels: int = 0
    defocus: int = 0
    shake_px: int = 0
    compression: int = 1
    turn: tuple[int, int] = (0, 0)
    sun: tuple[int, int] | None = None
    demand: Demand = field(default_factory=Demand)

    @property
    def foliage(self) -> Foliage:
        """What grass and trees look like."""
        return Foliage(self.season, self.season_before, self.season_step)

    @property
    def has_beams(self) -> bool:
        """Whether vehicles drive with their lamps on, and the camera sees them."""
        return self.daylight < 12 and not self.is_infrared

    @property
    def is_infrared(self) -> bool:
        """Whether the camera sees by its own infrared lamp."""
        return self.has_infrared and self.daylight < 6

    @property
    def darkness(self) -> int:
        """How far the camera's gain and exposure are up, 0 by day to 16 at night."""
        return max(0, 16 - self.daylight)

    @property
    def paleness(self) -> int:
        """How much colour and contrast the gain costs, 0 by day to 12 at night."""
        return self.darkness * 3 // 4

    @property
    def exposure_s(self) -> float:
        """How long the shutter is open, seconds: about 0 by day, a fifteenth at night; infrared light spares it."""
        return 0.0 if self.is_infrared else self.darkness / 240

    @property
    def lamp_strength(self) -> int:
        """Light of street lamps, 0 to 128: they come on at dusk."""
        return max(0, min(128, (15 - self.daylight) * 18))

    @cached_property
    def ambient(self) -> tuple[int, int, int]:
        """Blue, green and red of the light from the sky, 128 at noon."""
        if self.daylight >= _DUSK_AT:
            low, high, share, of = _DUSK, _DAY, self.daylight - _DUSK_AT, STEPS - _DUSK_AT
        else:
            low, high, share, of = _NIGHT, _DUSK, self.daylight, _DUSK_AT
        dim = 128 - self.rain - self.overcast // 2
        blue, green, red = ((a * (of - share) + b * share) * dim // (of * 128) for a, b in zip(low, high, strict=True))
        return blue, green, red

    @cached_property
    def shadow(self) -> int:
        """How much light shadows take away, 0 to about 60 of 128."""
        sun = max(0, self.daylight - _DUSK_AT + 3) * 60 // (STEPS - _DUSK_AT + 3)
        return sun * max(0, STEPS - self.overcast - self.rain - self.fog) // STEPS

    @property
    def noise_now(self) -> int:
        """Deviation of the sensor noise in this light, half grey levels."""
        return self.noise + (self.darkness // 3 if self.is_infrared else self.darkness * 3 // 4)

    def fog_at(self, depth_m: float) -> int:
        """Return how much light comes through the fog from so far away, 0 to 128."""
        if self.fog == 0 and self.rain == 0:
            return 128
        x = depth_m / self.sight_m
        return int(128 / (1 + x + x * x / 2) + 0.5)

    @cached_property
    def sight_m(self) -> float:
        """Distance at which fog and rain leave about a third of the light."""
        strength = (self.fog + self.rain / 4) / STEPS
        return 16 / (strength * strength) if strength > 0 else 1e9
