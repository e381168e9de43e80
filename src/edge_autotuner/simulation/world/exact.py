"""Arithmetic that gives the same bits on every machine: hashed random numbers, and angles from + - * / alone.

`math.sin`, `**`, NumPy's normal numbers and BLAS may differ in the last bit between processors, and `sum` of floats
between versions of Python, which moves an edge by a pixel once in a while. Everything in the simulated world that
decides about a pixel uses these functions, `math.sqrt` and `math.fsum` instead.
Angles are in turns: 1.0 is the full circle.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from edge_autotuner.core.types import ImageArray

_MASK = (1 << 64) - 1
_TAU = 6.283185307179586

_T = TypeVar("_T")
_Number = TypeVar("_Number", float, npt.NDArray[np.float64])


def hashed(*keys: int) -> int:
    """Return 64 random bits that depend on the keys only (SplitMix64, chained)."""
    state = 0x9E3779B97F4A7C15
    for key in keys:
        state = (state ^ (key & _MASK)) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


class Draws:
    """Random numbers of one thing, such as a pedestrian: the same keys give the same numbers."""

    def __init__(self, *keys: int) -> None:
        self._state = hashed(*keys)

    def unit(self) -> float:
        """Return the next number of [0, 1)."""
        self._state = hashed(self._state)
        return (self._state >> 11) / (1 << 53)

    def between(self, low: float, high: float) -> float:
        """Return the next number of [low, high)."""
        return low + (high - low) * self.unit()

    def below(self, n: int) -> int:
        """Return the next integer of 0..n-1."""
        return min(n - 1, int(self.unit() * n))

    def choice(self, items: Sequence[_T]) -> _T:
        """Return one of the items."""
        return items[self.below(len(items))]

    def weighted(self, shares: Mapping[_T, float]) -> _T:
        """Return one of the keys, in proportion to its share; shares need not add up to 1."""
        left = self.unit() * math.fsum(shares.values())
        for item, share in shares.items():
            left -= share
            if left < 0:
                return item
        return next(reversed([item for item, share in shares.items() if share > 0]))


def sine(turns: float) -> float:
    """Return the sine of an angle, within 1e-6.

    >>> round(sine(1 / 12), 5), round(sine(-0.25), 5), sine(0.0)
    (0.5, -1.0, 0.0)
    """
    part = turns - int(turns)  # (-1, 1)
    part -= 1.0 if part > 0.5 else -1.0 if part < -0.5 else 0.0
    if part > 0.25:
        part = 0.5 - part
    elif part < -0.25:
        part = -0.5 - part
    x = part * _TAU
    square = x * x
    return x * (1 - square / 6 * (1 - square / 20 * (1 - square / 42 * (1 - square / 72 * (1 - square / 110)))))


def cosine(turns: float) -> float:
    """Return the cosine of an angle, within 1e-6."""
    return sine(turns + 0.25)


@lru_cache(maxsize=4096)
def direction_of(turns: float) -> tuple[float, float]:
    """Return cosine and sine of an angle; few headings occur again and again."""
    return cosine(turns), sine(turns)


def turns_of(y: float, x: float) -> float:
    """Return the angle of the direction (x, y), in (-0.5, 0.5], within 1e-5; 0 where both are 0.

    >>> round(turns_of(1.0, 1.0), 4), round(turns_of(-1.0, 0.0), 4), round(turns_of(0.0, -2.0), 4)
    (0.125, -0.25, 0.5)
    """
    big, small = max(abs(x), abs(y)), min(abs(x), abs(y))
    if big == 0:
        return 0.0
    angle = _slope_turns(small / big)
    if abs(y) > abs(x):
        angle = 0.25 - angle
    if x < 0:
        angle = 0.5 - angle
    return -angle if y < 0 else angle


def _slope_turns(t: _Number) -> _Number:
    """Return the angle of a slope of 0 to 1: Abramowitz and Stegun 4.4.49, |error| <= 2e-8 radians."""
    s = t * t
    series = (
        ((((((0.0028662257 * s - 0.0161657367) * s + 0.0429096138) * s - 0.0752896400) * s + 0.1065626393) * s
          - 0.1420889944) * s + 0.1999355085) * s - 0.3333314528
    )  # fmt: skip
    return t * (1 + s * series) / _TAU


def turns_of_many(y: npt.NDArray[np.float64], x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the angles of many directions, bit for bit as `turns_of` does."""
    wide, high = np.abs(x), np.abs(y)
    big = np.maximum(wide, high)
    angle = _slope_turns(np.minimum(wide, high) / np.where(big == 0, 1.0, big))
    angle = np.where(high > wide, 0.25 - angle, angle)
    angle = np.where(x < 0, 0.5 - angle, angle)
    return np.where(y < 0, -angle, angle)


def dimmed(image: ImageArray, light: ImageArray) -> ImageArray:
    """Return a picture times light, rounded down.

    OpenCV's own scaled product rounds on x86-64 and cuts off in its code for ARM; this one is the same everywhere.

    Args:
        image: uint8.
        light: of the same shape, 128 for unchanged, at most that.
    """
    wide = np.multiply(image, light, dtype=np.uint16)
    wide >>= 7
    return np.asarray(wide.astype(np.uint8))


@lru_cache(maxsize=512)
def tone_table(gains: tuple[int, int, int]) -> ImageArray:
    """Return the table (256, 1, 3) for `cv2.LUT` that multiplies blue, green and red by so many 128ths."""
    values = np.arange(256)[:, None] * np.array(gains) >> 7
    return np.asarray(np.minimum(values, 255)[:, None], np.uint8)


def toned(image: ImageArray, gains: tuple[int, int, int]) -> ImageArray:
    """Return a picture with blue, green and red multiplied by so many 128ths, rounded down."""
    return np.asarray(cv2.LUT(image, tone_table(gains)))


def halved(image: ImageArray) -> ImageArray:
    """Return a picture at half its size, by the interpolation that OpenCV documents as bit-exact."""
    height, width = image.shape[:2]
    return np.asarray(cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_LINEAR_EXACT))


def mean_of_two(a: ImageArray, b: ImageArray) -> ImageArray:
    """Return the mean of two pictures, rounded down."""
    return np.asarray((a & b) + ((a ^ b) >> 1))


def random_bytes(shape: tuple[int, ...], *keys: int) -> ImageArray:
    """Return an array of uniform bytes from NumPy's counter-based Philox, whose stream is fixed."""
    generator = np.random.Generator(np.random.Philox(key=hashed(*keys)))
    return np.frombuffer(generator.bytes(int(np.prod(shape))), np.uint8).reshape(shape)


def bell_noise(shape: tuple[int, ...], sigma: float, *keys: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """Return rounded noise of mean 0 and this deviation, near to a normal one: a sum of six uniform bytes."""
    total = np.zeros(shape, np.int32)
    for number in range(6):
        total += random_bytes(shape, *keys, number)
    scale = round(sigma * 65536 / 181.02)  # deviation of the sum: sqrt(6 * (256**2 - 1) / 12)
    return np.asarray(((total - 765) * scale + 32768) >> 16, np.int16)
