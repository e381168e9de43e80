"""Light, weather, camera and demand at one moment.

All in whole steps, so that a picture made for one step serves many frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from edge_autotuner.simulation.world.traffic import Demand

Season = Literal["spring", "summer", "autumn", "winter"]

STEPS = 32
"""Whole steps between nothing and full strength."""

_DAY, _DUSK, _NIGHT = (128, 128, 128), (84, 86, 100), (26, 22, 20)  # blue, green, red of the light, 128 is noon
_DUSK_AT = 13  # step of daylight at which the sun stands on the horizon


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
    def is_infrared(self) -> bool:
        """Whether the camera sees by its own infrared lamp."""
        return self.has_infrared and self.daylight < 6

    @property
    def lamp_strength(self) -> int:
        """Light of street lamps, 0 to 128: they come on at dusk."""
        return max(0, min(128, (15 - self.daylight) * 18))

    @property
    def ambient(self) -> tuple[int, int, int]:
        """Blue, green and red of the light from the sky, 128 at noon."""
        if self.daylight >= _DUSK_AT:
            low, high, share, of = _DUSK, _DAY, self.daylight - _DUSK_AT, STEPS - _DUSK_AT
        else:
            low, high, share, of = _NIGHT, _DUSK, self.daylight, _DUSK_AT
        dim = 128 - self.rain - self.overcast // 2
        blue, green, red = ((a * (of - share) + b * share) * dim // (of * 128) for a, b in zip(low, high, strict=True))
        return blue, green, red

    @property
    def shadow(self) -> int:
        """How much light shadows take away, 0 to about 60 of 128."""
        sun = max(0, self.daylight - _DUSK_AT + 3) * 60 // (STEPS - _DUSK_AT + 3)
        return sun * max(0, STEPS - self.overcast - self.rain - self.fog) // STEPS

    @property
    def noise_now(self) -> int:
        """Deviation of the sensor noise in this light, half grey levels."""
        return self.noise + max(0, 16 - self.daylight) // 3

    def fog_at(self, depth_m: float) -> int:
        """Return how much light comes through the fog from so far away, 0 to 128."""
        if self.fog == 0 and self.rain == 0:
            return 128
        x = depth_m / self.sight_m
        return int(128 / (1 + x + x * x / 2) + 0.5)

    @property
    def sight_m(self) -> float:
        """Distance at which fog and rain leave about a third of the light."""
        strength = (self.fog + self.rain / 4) / STEPS
        return 16 / (strength * strength) if strength > 0 else 1e9
