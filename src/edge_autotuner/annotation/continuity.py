"""Whether the pictures of a dataset are a film, in which objects can be followed, or merely lie side by side.

Time stamps do not tell: the pictures of a folder get a rate, whatever their order. So the boxes are asked. In a film
most boxes of a frame lie where one of the frame before lay; in shuffled pictures no more of them do than chance allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from edge_autotuner.annotation.tracks import can_link_after
from edge_autotuner.core import Detections, iou_matrix
from edge_autotuner.core.types import BoolArray

_MIN_IOU = 0.3
_MIN_CONTINUITY = 0.5
"""Measured with deimv2-femto: PETS at 0.1 s .93, every second frame .85, every third .67, every fourth .53; its frames
shuffled .14; NGSIM sequence 1, whose pictures are shuffled, as if they were 0.1 s apart .19."""


def is_film(times_s: Sequence[float], detections: Sequence[Detections]) -> bool:
    """Return whether objects can be followed from frame to frame.

    Args:
        times_s: of the frames, in order.
        detections: what is surely there, one per frame.

    Returns:
        False where no two neighbours are close enough in time.
    """
    return continuity(times_s, detections) >= _MIN_CONTINUITY


def continuity(times_s: Sequence[float], detections: Sequence[Detections]) -> float:
    """Return the share, in [0, 1], of the moving boxes that lie where the next frame has one, too.

    What moves is what a frame from another time, half the sequence away, does not have at that place. Parked cars would
    be found again in any order.

    Returns:
        Where nothing moves, the share of all boxes. 0 where no two neighbours are close enough in time.
    """
    n_frames = len(detections)
    close = [i for i, (a, b) in enumerate(pairwise(times_s)) if can_link_after(b - a)]
    is_near = _found_again(detections, [(i, i + 1) for i in close])
    moves = ~_found_again(detections, [(i, (i + n_frames // 2) % n_frames) for i in close])
    counted = is_near[moves] if moves.any() else is_near
    return float(counted.mean()) if len(counted) else 0.0


def _found_again(detections: Sequence[Detections], pairs: Sequence[tuple[int, int]]) -> BoolArray:
    """Return for every box of the first frame of each pair whether the second one has a box there."""
    overlaps = [
        iou_matrix(detections[i].boxes_xyxy, detections[j].boxes_xyxy).max(axis=1, initial=0.0) for i, j in pairs
    ]
    return np.concatenate([np.zeros(0, np.float32), *overlaps]) >= _MIN_IOU
