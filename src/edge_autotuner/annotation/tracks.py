"""Links the boxes of different frames that show one object, and tells whether frames are a film at all.

A Kalman filter with constant velocity predicts where each object is at the time of the next frame, and boxes are given
to predictions by overlap, the sure ones first. A prediction that has become too vague is linked to nothing, so frames
that are far apart in time give no tracks.

Sources: SORT, Bewley et al., arXiv 1602.00763 (filter and overlap); ByteTrack, Zhang et al., arXiv 2110.06864 (boxes
with low scores continue tracks). Differs: boxes are given greedily.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edge_autotuner.core import Detections, iou_matrix
from edge_autotuner.core.moving_boxes import Float64Array, MovingBoxes, place_std_after
from edge_autotuner.core.pairs import pair_off
from edge_autotuner.core.types import BoolArray, IntArray

_MAX_STD = 0.5  # of a place, in sizes of the object; beyond it a prediction could overlap a neighbour

_MIN_IOU = 0.3  # SORT
_MIN_IOU_OTHER_CLASS = 0.6  # car or truck: the same box; person and bicycle: another one


@dataclass(frozen=True, eq=False)
class Track:
    """One object.

    Attributes:
        frames: (L,) positions of the frames in which it was seen, rising, L >= 1.
        boxes: (L,) which box of the frame it is.
    """

    frames: IntArray
    boxes: IntArray

    def __len__(self) -> int:
        return len(self.frames)


def can_link_after(gap_s: float) -> bool:
    """Whether an object can be found again after a gap, seconds."""
    return gap_s > 0 and place_std_after(gap_s) <= _MAX_STD


def link_boxes(times_s: Sequence[float], detections: Sequence[Detections], *, sure_score: float) -> list[Track]:
    """Follow objects through frames.

    Args:
        times_s: of the frames. Where time stands still or runs backwards, all tracks end.
        detections: one per frame.
        sure_score: boxes from here on choose their track first.

    Returns:
        Tracks in the order of their first boxes; every box is in exactly one.
    """
    tracker = _Tracker()
    for position, (time_s, found) in enumerate(zip(times_s, detections, strict=True)):
        tracker.see(position, time_s, found, sure_score)
    return [Track(*np.array(members, np.int64).T) for members in tracker.members]


class _Tracker:
    """The objects that may be seen again.

    Attributes:
        members: (frame, box) pairs of every object, also of those that ended.
    """

    def __init__(self) -> None:
        self.members: list[list[tuple[int, int]]] = []
        self._ids: IntArray = np.zeros(0, np.int64)  # positions in `members`
        self._class_ids: IntArray = np.zeros(0, np.int64)
        self._motion = MovingBoxes()

    def see(self, position: int, time_s: float, found: Detections, sure_score: float) -> None:
        """Link the boxes of the next frame to the objects so far, or begin new ones."""
        self._forget_vague(time_s)
        rows, columns = _give_boxes(self._motion.expected(time_s), self._class_ids, found, sure_score)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            self.members[self._ids[row]].append((position, column))
        self._motion.see(rows, time_s, found.boxes_xyxy[columns])
        self._begin(position, time_s, found, np.setdiff1d(np.arange(len(found)), columns))

    def _forget_vague(self, time_s: float) -> None:
        """Drop objects that could be too far from where they are expected."""
        keep = (time_s > self._motion.seen_s) & (self._motion.place_stds(time_s) <= _MAX_STD)
        self._ids, self._class_ids = self._ids[keep], self._class_ids[keep]
        self._motion.keep(keep)

    def _begin(self, position: int, time_s: float, found: Detections, columns: IntArray) -> None:
        self._ids = np.concatenate([self._ids, len(self.members) + np.arange(len(columns))])
        self.members += [[(position, column)] for column in columns.tolist()]
        self._class_ids = np.concatenate([self._class_ids, found.class_ids[columns]])
        self._motion.add(time_s, found.boxes_xyxy[columns])


def _give_boxes(
    expected: Float64Array, class_ids: IntArray, found: Detections, sure_score: float
) -> tuple[IntArray, IntArray]:
    """Return matched rows of `expected` and boxes of `found`: sure boxes choose first, the largest overlap first."""
    overlap = iou_matrix(expected.astype(np.float32), found.boxes_xyxy)  # (T, N)
    same_class = class_ids[:, None] == found.class_ids[None, :]
    rows, columns = np.nonzero(overlap >= np.where(same_class, _MIN_IOU, _MIN_IOU_OTHER_CLASS))
    is_sure = found.scores[columns] >= sure_score
    return pair_off(rows, columns, np.lexsort((-overlap[rows, columns], ~is_sure)))


_MIN_CONTINUITY = 0.5
"""Measured with deimv2-femto: PETS at 0.1 s .93, every second frame .85, every third .67, every fourth .53; its frames
shuffled .14; NGSIM sequence 1, whose pictures are shuffled, as if they were 0.1 s apart .19."""


def is_film(times_s: Sequence[float], detections: Sequence[Detections]) -> bool:
    """Whether objects can be followed from frame to frame; `detections` are certain objects, one item per frame.

    Time stamps do not tell: the pictures of a folder get a rate, whatever their order. In a film most boxes of a frame
    overlap one of the frame before; in shuffled pictures no more of them do than chance allows. False where no two
    neighbours are close enough in time.
    """
    return continuity(times_s, detections) >= _MIN_CONTINUITY


def continuity(times_s: Sequence[float], detections: Sequence[Detections]) -> float:
    """Return the share, in [0, 1], of the moving boxes that overlap a box of the next frame.

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
    """Flag each box in the first frame of a pair that overlaps a box in the second."""
    overlaps = [
        iou_matrix(detections[i].boxes_xyxy, detections[j].boxes_xyxy).max(axis=1, initial=0.0) for i, j in pairs
    ]
    return np.concatenate([np.zeros(0, np.float32), *overlaps]) >= _MIN_IOU
