"""Brings pictures of more than 8 bits to 8, without losing what is in them.

Thermal and scientific cameras store 16 bits and use few of them: values between 30,000 and 30,255 would all become the
same grey if the upper 8 bits were taken. The range that is made visible is found once and holds for the whole source:
the same temperature must look the same an hour later, or everything would seem to move.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_autotuner.core.types import ImageArray

DeepImage = NDArray[Any]
"""(H, W) or (H, W, 3) picture of any number type."""

_LOW, _HIGH = 0.5, 99.5  # percentiles; hot pixels and dead ones are left out
_HEADROOM = 0.5  # of the found range, on either side, for what is hotter or colder later
_USED_SHARE = 0.5  # who uses more than this share of the scale keeps the scale
_SMALLEST_RANGE = 64  # values; noise of a lens cap is not blown up to a picture


@dataclass(frozen=True)
class Levels:
    """A linear map to 0..255.

    Attributes:
        low: value that becomes 0; what is lower does, too.
        high: value that becomes 255.
        is_stretched: False where this is the whole scale of the file.
    """

    low: float
    high: float
    is_stretched: bool = False

    def __str__(self) -> str:
        return f"values from {self.low:.6g} to {self.high:.6g} are shown as 0 to 255"

    def apply(self, image: DeepImage) -> ImageArray:
        """Return the picture in 8 bits; what is no number becomes 0."""
        scale = 255.0 / (self.high - self.low)
        grey = (np.nan_to_num(image.astype(np.float32), posinf=self.high, neginf=self.low) - self.low) * scale
        return np.asarray(np.clip(np.rint(grey), 0, 255), np.uint8)


def find_levels(images: Iterable[DeepImage], *, scale_max: float | None) -> Levels:
    """Return the map that makes pictures of one camera visible.

    The range is that of the values between the 0.5th and the 99.5th percentile of all pictures, and half of it on
    either side. Where it covers more than half of the scale, the scale is taken as it is.

    Args:
        images: (H, W) pictures, at least one.
        scale_max: largest value that the file can hold; None for floating point, which has no scale.
    """
    ranges = (np.percentile(image[np.isfinite(image)], (_LOW, _HIGH)) for image in images if np.isfinite(image).any())
    found = [(float(low), float(high)) for low, high in ranges]
    if not found:
        return Levels(0.0, scale_max or 1.0)
    low, high = min(part[0] for part in found), max(part[1] for part in found)
    smallest = _SMALLEST_RANGE if scale_max is not None else 1.0
    margin = max(high - low, smallest) * _HEADROOM
    if scale_max is not None and high - low > _USED_SHARE * scale_max:
        return Levels(0.0, scale_max)
    return Levels(low - margin, max(high, low + smallest) + margin, is_stretched=True)


def is_grey(image: DeepImage) -> bool:
    """Whether a decoded picture has no colours: one channel, or three that are the same."""
    if image.ndim == 2:
        return True
    return bool(np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 0], image[..., 2]))


def as_bgr(image_grey: ImageArray) -> ImageArray:
    """Return a (H, W) picture with three equal channels."""
    return np.asarray(cv2.cvtColor(image_grey, cv2.COLOR_GRAY2BGR), np.uint8)
