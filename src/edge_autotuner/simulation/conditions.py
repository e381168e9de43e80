"""What makes a still scene look as if it moved: noise, wind, shadows, rain, light."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Conditions:
    """Weather and sensor of the simulated camera; the defaults are a calm day.

    Attributes:
        noise_levels: standard deviation of the sensor noise, grey levels.
        sway: how far the crowns of the trees swing; 0 not at all, 1 by about a third of their radius.
        cast_shadows: how dark the long shadows of people and cars are, 0 none to 1.
        clouds: how dark the shadows of clouds are that drift over the street, 0 none to 1.
        rain: 0 none to 1 heavy.
        flicker: standard deviation of the brightness from frame to frame, as a share; 0.02 is a bad lamp.
    """

    noise_levels: float = 2.0
    sway: float = 0.0
    cast_shadows: float = 0.0
    clouds: float = 0.0
    rain: float = 0.0
    flicker: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.noise_levels <= 64:
            raise ValueError(f"noise_levels must be in 0..64, got {self.noise_levels}")
        if not all(0 <= share <= 1 for share in astuple(self)[1:]):
            raise ValueError(f"sway, cast_shadows, clouds, rain and flicker must be in 0..1, got {self}")
