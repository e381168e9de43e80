"""Wind, clouds, rain and infrared light in the frames of the simulated camera: what makes a still scene seem to move.

Everything follows from the time and the seed, so that a frame does not depend on those before it.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import cv2
import numpy as np

from edge_autotuner.core.types import FloatArray, ImageArray, SizeWH
from edge_autotuner.simulation.scenery import Street, smooth_noise

_SWAY_RADII = 0.33  # swing of a crown at full strength, its own radii
_SWING_HZ, _FLUTTER_HZ, _GUST_PERIOD_S = 0.4, 1.7, 11.0
_CLOUD_SHADE = 0.5  # light that the darkest cloud takes away
_CLOUD_WIDTHS_PER_S = 0.04
_MAX_DROPS = 300
_NIGHT_GAIN, _NIGHT_OFFSET, _NIGHT_BORDER = 0.55, 18.0, 0.4  # infrared contrast, and light left in the corners


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


class SwayingTrees:
    """The street while wind moves the crowns of its trees."""

    def __init__(self, street: Street, sway: float, rng: np.random.Generator) -> None:
        height, width = street.leaves.shape
        self._street = street
        self._swing_px = sway * _SWAY_RADII * street.crown_radius_px
        self._columns, self._rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        self._slow = 2 * smooth_noise((width, height), cells=8, rng=rng)  # (H, W) phases, radians
        self._fast = 6 * smooth_noise((width, height), cells=24, rng=rng)

    def at(self, time_s: float) -> ImageArray:
        """Return the (H, W, 3) street at a time."""
        turns = 2 * math.pi * time_s
        swing_px = self._swing_px * (0.6 + 0.4 * math.sin(turns / _GUST_PERIOD_S))
        dx = 0.6 * np.sin(turns * _SWING_HZ + self._slow) + 0.4 * np.sin(turns * _FLUTTER_HZ + self._fast)
        dy = 0.4 * np.sin(turns * _FLUTTER_HZ + self._slow + self._fast)
        columns = np.asarray(self._columns + swing_px * dx, np.float32)
        rows = np.asarray(self._rows + swing_px * dy, np.float32)
        leaves = cv2.remap(self._street.image_bgr, columns, rows, cv2.INTER_LINEAR)
        opaque = cv2.remap(self._street.leaves, columns, rows, cv2.INTER_LINEAR)[..., None].astype(np.float32) / 255
        return np.asarray(np.rint(leaves * opaque + self._street.bare_bgr * (1 - opaque)), np.uint8)


class Clouds:
    """Shadows that drift over the whole picture."""

    def __init__(self, size_wh: SizeWH, clouds: float, rng: np.random.Generator) -> None:
        self._width = size_wh[0]
        belt = smooth_noise((2 * size_wh[0], size_wh[1]), cells=5, rng=rng)
        belt = np.hstack([belt, belt[:, ::-1]])  # (H, 4 W): goes round without a seam
        cover = np.clip(0.5 + belt, 0, 1)
        self._gain = np.asarray(1 - _CLOUD_SHADE * clouds * cover * cover * (3 - 2 * cover), np.float32)

    def gain_at(self, time_s: float) -> FloatArray:
        """Return (H, W, 1), the share of the light that reaches the ground."""
        left = round(time_s * _CLOUD_WIDTHS_PER_S * self._width)
        columns = np.arange(left, left + self._width) % self._gain.shape[1]
        return np.asarray(self._gain[:, columns, None])


def paint_rain_in_place(image: ImageArray, rain: float, rng: np.random.Generator) -> None:
    """Draw short bright streaks, more of them in heavier rain."""
    height, width = image.shape[:2]
    streaks = np.zeros((height, width), np.uint8)
    length, thickness = max(3, height // 18), max(1, height // 400)
    for x, y in rng.integers(0, (width, height), (round(rain * _MAX_DROPS), 2)).tolist():
        cv2.line(streaks, (x, y), (x - length // 6, y + length), 1, thickness)
    image[streaks > 0] = (0.65 * image[streaks > 0] + 0.35 * 225).astype(np.uint8)


def infrared(image: ImageArray) -> ImageArray:
    """Return the (H, W, 3) picture as a camera with an infrared lamp sees it: grey, flat, dark in the corners."""
    height, width = image.shape[:2]
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    lamp = 1 - (1 - _NIGHT_BORDER) * np.clip((x * x + y * y) / 2, 0, 1)  # (H, W)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) * _NIGHT_GAIN + _NIGHT_OFFSET
    return np.repeat((grey * lamp).astype(np.uint8)[..., None], 3, axis=2)
