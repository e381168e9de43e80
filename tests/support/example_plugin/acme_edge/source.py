"""A kind of camera: `acme://WIDTHxHEIGHT` paints a square that moves, twelve pictures in all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.capture.live import LiveAddress, Picture
from edge_autotuner.config import StreamConfig
from edge_autotuner.core import Clock

_N_PICTURES = 12


class PaintedFeed:
    """A `Feed` that ends after its pictures."""

    can_reconnect = False
    longest_block_s = 1.0
    length_s: float | None = None

    def __init__(self, address: LiveAddress, config: StreamConfig, *, clock: Clock | None) -> None:
        self.name, self.sha256 = address.shown, address.sha256
        width, height = address.shown.removeprefix("acme://").split("x")
        self._size_wh = int(width), int(height)

    @contextmanager
    def connect(self, stop: threading.Event) -> Iterator[Painting]:
        """Begin to paint."""
        yield Painting(self._size_wh)


@dataclass(frozen=True)
class Painting:
    """A connection to nothing."""

    size_wh: tuple[int, int]
    rate_hz: float | None = 10.0

    def pictures(self) -> Iterator[Picture]:
        """Yield the pictures."""
        for number in range(_N_PICTURES):
            luma = np.full(self.size_wh[::-1], 90, np.uint8)
            luma[8:16, 3 * number : 3 * number + 8] = 240
            luma.flags.writeable = False
            yield Picture(luma, lambda luma=luma: cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR))
