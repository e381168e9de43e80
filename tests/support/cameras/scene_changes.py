"""A drawn scene whose light and camera can be changed at will, and what a background keeper makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from edge_autotuner.capture.background import BackgroundKeeper
from edge_autotuner.config import BackgroundConfig
from edge_autotuner.core import CaptureEvent
from edge_autotuner.core.types import ImageArray, SizeWH
from support.cameras.capture_samples import frame_of

Picture = npt.NDArray[np.float32]
SIZE_WH = (320, 180)
_MARGIN_PX = 48  # drawn around what the camera sees, so that it can be moved


class Street:
    """A still scene with buildings, marks and shading, brightness 40 to 200.

    Args:
        size_wh: of the picture.
        seed: of what is drawn.
    """

    def __init__(self, size_wh: SizeWH = SIZE_WH, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        width, height = size_wh[0] + 2 * _MARGIN_PX, size_wh[1] + 2 * _MARGIN_PX
        shading = np.linspace(90, 140, width, dtype=np.float32)[None, :] + np.zeros((height, 1), np.float32)
        for _ in range(150):
            x, y = int(rng.integers(width)), int(rng.integers(height))
            w, h = (int(side) for side in rng.integers(6, 40, 2))
            shading[y : y + h, x : x + w] += rng.uniform(-45, 45)
        self._drawn = np.clip(cv2.GaussianBlur(shading, (3, 3), 0), 40, 200).astype(np.float32)
        self._size_wh = size_wh

    def seen(self, *, right_px: int = 0, down_px: int = 0) -> Picture:
        """Return the (H, W) picture whose content lies so far to the right and down; at most 48 pixels."""
        top, left = _MARGIN_PX - down_px, _MARGIN_PX - right_px
        return np.array(self._drawn[top : top + self._size_wh[1], left : left + self._size_wh[0]])


class Sensor:
    """Adds noise and rounds; the same seed gives the same pictures.

    Args:
        noise: standard deviation, grey levels.
        seed: of the noise.
    """

    def __init__(self, noise: float = 2.0, seed: int = 0) -> None:
        self._noise = noise
        self._rng = np.random.default_rng(seed)
        self._field = self._rng.standard_normal((1024, 1024), dtype=np.float32)

    def __call__(self, picture: Picture) -> ImageArray:
        """Return the (H, W) uint8 frame."""
        height, width = picture.shape
        top, left = (int(start) for start in self._rng.integers(0, (1024 - height, 1024 - width)))
        noise = self._field[top : top + height, left : left + width] * self._noise
        return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def with_people(picture: Picture, time_s: float, n: int = 3) -> Picture:
    """Return the picture with people who walk through it, each at a pace of his own."""
    height, width = picture.shape
    crowded = picture.copy()
    rng = np.random.default_rng(n)
    for start, pace, lane, size in rng.uniform((0, -0.3, 0, 0.1), (1, 0.3, 1, 0.25), (n, 4)):
        tall, wide = round(size * height), round(size * height / 3)
        x, y = round((start + pace * time_s) % 1 * (width + wide)) - wide, round(lane * (height - tall))
        crowded[y : y + tall, max(0, x) : max(0, x + wide)] = 20 + 200 * start
        crowded[y : y + tall // 5, max(0, x) : max(0, x + wide)] = 150
    return crowded


def with_bus(picture: Picture, left_fraction: float, *, width_fraction: float = 0.6) -> Picture:
    """Return the picture with a bus whose front is there, in widths of the picture."""
    height, width = picture.shape
    length = round(width * width_fraction)
    bus = np.full((height, length), 210, np.float32)
    bus[height // 5 : height // 2] = 60
    bus[height // 5 : height // 2, :: max(1, length // 7)] = 230
    covered = picture.copy()
    left = round(left_fraction * width)
    first, last = max(0, left), min(width, left + length)
    if first < last:
        covered[:, first:last] = bus[:, first - left : last - left]
    return covered


@dataclass
class Watch:
    """A keeper that is shown pictures at a steady rate.

    Attributes:
        keeper: under test.
        events: what it told so far.
        known: whether the background was known, frame by frame.
        rate_hz: of the frames.
    """

    config: BackgroundConfig = field(default_factory=BackgroundConfig)
    rate_hz: float = 10.0
    sensor: Callable[[Picture], ImageArray] = field(default_factory=Sensor)

    def __post_init__(self) -> None:
        self.events: list[CaptureEvent] = []
        self.keeper = BackgroundKeeper(self.config, on_event=self.events.append)
        self.known: list[bool] = []

    @property
    def time_s(self) -> float:
        """Stamp of the next frame."""
        return len(self.known) / self.rate_hz

    @property
    def kinds(self) -> list[str]:
        """Kinds of the events so far."""
        return [event.kind for event in self.events]

    def show(self, pictures: Iterable[Picture]) -> None:
        """Show one frame per picture."""
        for picture in pictures:
            luma = self.sensor(picture)
            frame = frame_of(luma, len(self.known), self.rate_hz)
            self.known.append(self.keeper.see(luma, frame) is not None)

    def show_still(self, picture: Picture, duration_s: float, *, n_people: int = 0) -> None:
        """Show one picture for some time, with people walking through."""
        start_s = self.time_s
        for number in range(round(duration_s * self.rate_hz)):
            self.show([with_people(picture, start_s + number / self.rate_hz, n_people) if n_people else picture])

    def background_error(self, picture: Picture) -> float:
        """Return the mean difference, grey levels, of the background from a picture without noise."""
        assert self.keeper.background is not None
        return float(np.abs(self.keeper.background - picture).mean())
