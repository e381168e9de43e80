"""Remembers what stands still: the motion gate no longer shows it, and nothing has taken it away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_autotuner.core import Detections, MotionResult, iou_matrix
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray, IntArray, SizeWH

_SAME_OBJECT_IOU = 0.5
_SAME_PLACE_IOU = 0.7  # with less, it has moved
_STANDS_AFTER_S = 1.0  # found in one place for so long
_SIDE = 8  # a place is compared at 8x8 points
_SAME_LOOK = 8.0  # mean difference of brightness, grey levels
_MOVING_SHARE = 0.05  # of the points
_N_MISSES = 2  # close looks in a row that do not find an object end it
_LIGHT_STEP = 16  # of the pixels that tell the light of the picture
_MAX_REMEMBERED = 300
_MIN_SCORE = 0.3  # of an object worth remembering; a node reports no lower ones by default

_Times = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Memory:
    """Objects and what is known about each of them.

    Attributes:
        objects: N of them, as they were found last.
        first_s: (N,) when each was found first in this place.
        last_s: (N,) when each was found last.
        looks: (N, P) brightness of the points of its place then, without the light of the picture.
        is_calm: (N,) whether nothing moved in its place when it was found last.
        stands: (N,) whether it was found in this place for a second, and so stands still.
        n_misses: (N,) close looks in a row that did not find it.
        is_due: (N,) whether it needs a close look, as a whole frame did not show it.
    """

    objects: Detections
    first_s: _Times
    last_s: _Times
    looks: FloatArray
    is_calm: BoolArray
    stands: BoolArray
    n_misses: IntArray
    is_due: BoolArray

    def select(self, keep: BoolArray) -> _Memory:
        rows = {name: value[keep] for name, value in vars(self).items() if name != "objects"}
        return _Memory(self.objects.select(keep), **rows)

    def then(self, others: _Memory) -> _Memory:
        rows = {n: np.concatenate([v, getattr(others, n)]) for n, v in vars(self).items() if n != "objects"}
        return _Memory(Detections.concatenate([self.objects, others.objects]), **rows)


class StandingObjects:
    """The objects of one camera that stand still, by what looks at its frames found.

    An object stands if it is found in one place for a second. When later looks do not show it, it is still there as
    long as its place looks the same; something in front of it hides it meanwhile. Two close looks that do not find it
    end it, and so does time.

    Args:
        remember_s: how long after it was found last an object is remembered.
    """

    def __init__(self, remember_s: float) -> None:
        self._remember_s = remember_s
        self._memory: _Memory | None = None

    @property
    def due_xyxy(self) -> FloatArray:
        """(D, 4) places that need a close look, frame pixels."""
        if self._memory is None:
            return np.zeros((0, 4), np.float32)
        return self._memory.objects.boxes_xyxy[self._memory.is_due]

    def forget(self) -> None:
        """Remember nothing."""
        self._memory = None

    def update(
        self,
        found: Detections,
        motion: MotionResult,
        *,
        time_s: float,
        size_wh: SizeWH,
        close_xyxy: FloatArray,
        saw_whole: bool,
    ) -> Detections:
        """Take into account what was found in the next frame; return the other objects that are still there.

        Args:
            found: in frame pixels.
            motion: of the frame.
            time_s: of the frame.
            size_wh: of the frame.
            close_xyxy: (R, 4) parts of the frame that were looked at magnified, frame pixels.
            saw_whole: whether the whole frame was looked at, too.
        """
        sure = found.above(_MIN_SCORE)
        new = _noted(sure, motion, time_s, size_wh)
        old, self._memory = self._memory, new
        if old is None or len(old.objects) == 0:
            return found.select(np.zeros(len(found), np.bool_))
        new = _with_history(new, old, iou_matrix(old.objects.boxes_xyxy, sure.boxes_xyxy))
        overlaps = iou_matrix(old.objects.boxes_xyxy, found.boxes_xyxy)  # (N, F)
        is_left = (overlaps.max(axis=1, initial=0) < _SAME_OBJECT_IOU) & (old.stands | old.is_calm)
        left = old.select(is_left & (time_s - old.last_s <= self._remember_s))
        if len(left.objects) == 0:
            self._memory = new
            return left.objects
        boxes = left.objects.boxes_xyxy
        same = np.abs(_looks(boxes, motion.blurred_luma, size_wh) - left.looks).mean(axis=1) <= _SAME_LOOK
        missed = same & _inside(boxes, close_xyxy)
        left = replace(left, n_misses=left.n_misses + missed, is_due=same & (left.is_due | saw_whole))
        keep = left.n_misses < _N_MISSES
        left, is_shown = left.select(keep), (same & left.stands)[keep]
        self._memory = new.then(left).select(np.arange(len(new.objects) + len(left.objects)) < _MAX_REMEMBERED)
        return left.objects.select(is_shown)


def _noted(found: Detections, motion: MotionResult, time_s: float, size_wh: SizeWH) -> _Memory:
    """Return what is known of objects that were just found."""
    n = len(found)
    moves = _at_points(found.boxes_xyxy, motion.mask, size_wh).mean(axis=1) > _MOVING_SHARE
    now, no = np.full(n, time_s, np.float64), np.zeros(n, np.bool_)
    looks = _looks(found.boxes_xyxy, motion.blurred_luma, size_wh)
    return _Memory(found, now, now, looks, ~moves, no, np.zeros(n, np.int64), no)


def _with_history(new: _Memory, old: _Memory, overlaps: FloatArray) -> _Memory:
    """Return objects with the times that they have in memory, for (N, F) overlaps of old and new ones."""
    if len(new.objects) == 0:
        return new
    before = overlaps.argmax(axis=0)
    stayed = overlaps.max(axis=0) >= _SAME_PLACE_IOU
    first_s = np.where(stayed, old.first_s[before], new.first_s)
    return replace(new, first_s=first_s, stands=new.last_s - first_s >= _STANDS_AFTER_S)


def _looks(boxes_xyxy: FloatArray, luma: ImageArray, size_wh: SizeWH) -> FloatArray:
    """Return (N, P) brightness at the points of boxes, relative to the median of the picture."""
    sampled = luma[::_LIGHT_STEP, ::_LIGHT_STEP].ravel()
    light = np.partition(sampled, sampled.size // 2)[sampled.size // 2]  # the median, fast
    return _at_points(boxes_xyxy, luma, size_wh).astype(np.float32) - np.float32(light)


def _at_points(boxes_xyxy: FloatArray, picture: npt.NDArray[Any], size_wh: SizeWH) -> npt.NDArray[Any]:
    """Return (N, P) values of a small (h, w) picture at a grid of points in each box, frame pixels."""
    height, width = picture.shape
    shares = (np.arange(_SIDE, dtype=np.float32) + 0.5) / _SIDE
    corners, sides = boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    x = ((corners[:, :1] + sides[:, :1] * shares) * (width / size_wh[0])).astype(int).clip(0, width - 1)  # (N, S)
    y = ((corners[:, 1:] + sides[:, 1:] * shares) * (height / size_wh[1])).astype(int).clip(0, height - 1)
    points: npt.NDArray[Any] = picture[y[:, :, None], x[:, None, :]]
    return points.reshape(len(boxes_xyxy), _SIDE**2)


def _inside(boxes_xyxy: FloatArray, rectangles_xyxy: FloatArray) -> BoolArray:
    """Return (N,) whether each box is inside one of the rectangles."""
    is_low = (boxes_xyxy[:, None, :2] >= rectangles_xyxy[:, :2]).all(axis=2)
    is_high = (boxes_xyxy[:, None, 2:] <= rectangles_xyxy[:, 2:]).all(axis=2)
    return np.asarray(np.any(is_low & is_high, axis=1), np.bool_)
