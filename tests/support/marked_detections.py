"""Detections with one more field, as a task beside boxes has: nothing may drop it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_autotuner.core import Detections
from edge_autotuner.core.types import IntArray


@dataclass(frozen=True, eq=False)
class Marked(Detections):
    """Every object has a serial number, which is its class id plus 100."""

    serials: IntArray

    @property
    def is_whole(self) -> bool:
        """Whether every object still has its own serial number."""
        return bool((self.serials == self.class_ids + 100).all())


def marked(boxes_xyxy: list[list[float]], scores: list[float], class_ids: list[int]) -> Marked:
    """Return objects that can be recognized."""
    return Marked(boxes_xyxy, scores, class_ids, np.array(class_ids, np.int64) + 100)


def three() -> Marked:
    """Return three objects side by side, of three classes."""
    return marked([[10.0 * i, 5, 10.0 * i + 8, 15] for i in range(3)], [0.5, 0.9, 0.7], [2, 0, 1])
