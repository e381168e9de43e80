"""Sample values of every task, for the contract that all tasks keep."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_autotuner.core import Detections, LabelMap

LABELS = LabelMap(("person", "car", "dog"))
SIZE_WH = (256, 128)


def boxes(n: int) -> Detections:
    """Return n boxes of whole pixels, so that sums are exact, with scores of every kind."""
    rng = np.random.default_rng(n)
    corners = rng.integers(0, [SIZE_WH[0] - 32, SIZE_WH[1] - 32], (n, 2))
    sides = rng.integers(4, 32, (n, 2))
    return Detections(np.concatenate([corners, corners + sides], axis=1), rng.random(n), rng.integers(0, 3, n))


VALUES: dict[str, Callable[[int], Detections]] = {"boxes": boxes}
"""Task -> makes a value of n items in a picture of `SIZE_WH`, with classes of `LABELS`."""
