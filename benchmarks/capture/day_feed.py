"""A camera that shows one day: pictures rendered beforehand, given in simulated time at almost no cost."""

from __future__ import annotations

import gc
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache

import cv2
import numpy as np

from benchmarks.machine import memory_mb
from edge_autotuner.capture.live import FeedError, Picture
from edge_autotuner.core import FakeClock
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.simulation import Conditions, NightSwitch, SimulatedCamera

SIZE_WH: SizeWH = (320, 180)
RATE_HZ = 25.0
HOURS = 24

_LOOP_FRAMES = 300  # the first fifth of them is empty
_EMPTY_FRAMES = 40
_NIGHT = frozenset({0, 1, 2, 3, 4, 5, 21, 22, 23})  # hours with the infrared lamp
_EMPTY = frozenset({0, 1, 2, 3, 4, 13, 22, 23})  # hours in which nobody passes
_LOST_EVERY_H = 2  # the connection breaks off
_DUSK_GAIN = 0.6  # brightness at the ends of the day, share of that at noon
_GAIN_DIGITS = 3  # finer steps would not show in 256 levels


@dataclass(frozen=True)
class Sample:
    """What the process holds at the end of an hour.

    Attributes:
        hour: 1 to 24.
        rss_mb: resident memory, MB of 10^6 bytes.
        blocks: memory blocks of Python objects.
        open_files: file descriptors.
        threads: of Python.
    """

    hour: int
    rss_mb: float
    blocks: int
    open_files: int
    threads: int

    @classmethod
    def now(cls, hour: int) -> Sample:
        """Look at this process."""
        gc.collect()
        n_files = len(os.listdir("/proc/self/fd")) - 1  # without that of the listing itself
        return cls(hour, round(memory_mb(), 2), sys.getallocatedblocks(), n_files, threading.active_count())

    def to_json(self) -> dict[str, float]:
        """Return the numbers as JSON values."""
        return asdict(self)


class Loops:
    """Rendered pictures, by day and by night; the empty part comes first."""

    def __init__(self) -> None:
        conditions = Conditions(noise_levels=2.5, cast_shadows=0.5)
        day = SimulatedCamera(SIZE_WH, _LOOP_FRAMES, RATE_HZ, seed=2, conditions=conditions)
        night = SimulatedCamera(SIZE_WH, _LOOP_FRAMES, RATE_HZ, seed=2, conditions=conditions, events=[NightSwitch(0)])
        self._day = [frame.image_bgr for frame in day.frames()]
        self._night = [frame.image_bgr for frame in night.frames()]
        self._day_luma = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in self._day]
        self._night_luma = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in self._night]

    def picture(self, number: int, hour: float) -> Picture:
        """Return the picture of a number at an hour of the day, 0..24."""
        position = number % (_EMPTY_FRAMES if int(hour) % HOURS in _EMPTY else _LOOP_FRAMES)
        is_night = int(hour) % HOURS in _NIGHT
        image_bgr = (self._night if is_night else self._day)[position]
        luma = (self._night_luma if is_night else self._day_luma)[position]
        levels = _levels(1.0 if is_night else _daylight(hour))
        return Picture(_lit(luma, levels), lambda: _lit(image_bgr, levels))


class DayFeed:
    """A `Feed` that plays 24 hours in simulated time, the hours as long as one likes; each picture moves the clock.

    Attributes:
        name: the camera's.
        sha256: the camera's.
        can_reconnect: True: every two hours the connection breaks off.
        longest_block_s: nothing blocks.
        length_s: None: a camera has no end.
        samples: one per hour that is over.
        outages: (number of pictures before, seconds without a camera) of each lost connection.
    """

    can_reconnect = True
    longest_block_s = 1.0
    length_s: float | None = None

    def __init__(self, clock: FakeClock, hour_s: float, look: Callable[[int], Sample] = Sample.now) -> None:
        """Render the pictures.

        Args:
            clock: moved on by 1/25 s before each picture but the first.
            hour_s: length of an hour of this day, seconds; 3600 for a real day.
            look: makes a sample at the end of each hour.
        """
        self.name, self.sha256 = "a simulated day", "d" * 64
        self.samples: list[Sample] = []
        self.outages: list[tuple[int, float]] = []
        self._clock = clock
        self._hour_s = hour_s
        self._look = look
        self._loops = Loops()
        self._n_pictures = 0
        self._n_lost = 0
        self._lost_at_s: float | None = None

    def time_of(self, number: int) -> float:
        """Return the time of a picture in seconds after the first, counted without the clock of the pictures."""
        away_s = math.fsum(away_s for before, away_s in self.outages if before <= number)
        return number / RATE_HZ + away_s

    @contextmanager
    def connect(self, stop: threading.Event) -> Iterator[_Playback]:
        """Show the day from where it is now."""
        yield _Playback(self._pictures)

    def _pictures(self) -> Iterator[Picture]:
        if self._lost_at_s is not None:
            self.outages.append((self._n_pictures, self._clock.elapsed_s - self._lost_at_s))
            self._lost_at_s = None
        while True:
            self._clock.advance(self.time_of(self._n_pictures) - self._clock.elapsed_s)
            hour = self._clock.elapsed_s / self._hour_s
            if hour >= len(self.samples) + 1:
                self.samples.append(self._look(len(self.samples) + 1))
            if hour >= _LOST_EVERY_H * (self._n_lost + 1):
                self._n_lost += 1
                self._lost_at_s = self._clock.elapsed_s
                raise FeedError("connection lost", "the camera broke the connection off")
            yield self._loops.picture(self._n_pictures, hour)
            self._n_pictures += 1


@dataclass(frozen=True)
class _Playback:
    """An open connection to the day."""

    pictures: Callable[[], Iterator[Picture]]
    rate_hz: float | None = RATE_HZ


def _daylight(hour: float) -> float:
    """Return the brightness of an hour, share of that at noon."""
    noon_nearness = 0.5 - 0.5 * math.cos(2 * math.pi * hour / HOURS)
    return round(_DUSK_GAIN + (1 - _DUSK_GAIN) * noon_nearness, _GAIN_DIGITS)


@lru_cache(maxsize=2)
def _levels(gain: float) -> ImageArray:
    """Return the (256,) table of brightness at a gain."""
    return np.asarray(np.rint(np.arange(256) * gain), np.uint8)


def _lit(image: ImageArray, levels: ImageArray) -> ImageArray:
    return np.asarray(cv2.LUT(image, levels), np.uint8)
