"""Follows objects from frame to frame while a camera is watched, so that people count objects instead of boxes.

A filter of constant velocity says where each object should be. Boxes are given to objects by overlap and colours, first
to objects that count already; then by distance to objects that were hidden for a while. What is left begins new
objects, which count once they were seen in several frames running.

Sources: SORT, Bewley et al., arXiv 1602.00763; Deep SORT, Wojke et al., arXiv 1703.07402 (looks decide beside motion).
Differs: see `core.moving_boxes`; a histogram of colours instead of a network; pairs are taken by falling likeness
instead of by the Hungarian method, which found no better ones on PETS 0-499.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edge_autotuner.core import Detections, iou_matrix
from edge_autotuner.core.boxes import box_sizes
from edge_autotuner.core.moving_boxes import Float64Array, MovingBoxes
from edge_autotuner.core.pairs import pair_off
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray, IntArray
from edge_autotuner.tracking.colours import N_VALUES, colours_of

_NEVER = -1

NO_ID = 0
"""Of a box that belongs to no object that counts."""

# Chosen on PETS 0-499 with boxes of two detectors at 10, 5 and 3.3 frames per second.
_MIN_IOU = 0.1
_MIN_IOU_OTHER_CLASS = 0.6  # car or truck: the same box; person and bicycle: another one
_MAX_DISTANCE = 0.8  # of a hidden object from where it is expected, in its sizes (roots of the area)
_MAX_RATIO = 1.6  # of two sizes of one object
_DISTANCE_WEIGHT = 0.5  # likeness of a box exactly where a hidden object is expected; overlap counts up to 1
_COLOUR_WEIGHT = 1.0
_COLOUR_MEMORY = 0.9  # share of the old colours that each frame keeps
_ALONE_IOU = 0.2  # a box that overlaps another by more shows colours of both
# Time and memory grow with boxes x objects; a model that sees ghosts everywhere must not end detection.
_MAX_BOXES = 500  # of one frame that are followed, the surest
_MAX_OBJECTS = 1000  # that are remembered, those seen last


@dataclass(frozen=True)
class TrackingRules:
    """When an object counts, and when it has left.

    Attributes:
        min_seen: frames in which an object must be seen, one after the other, before it counts.
        lost_s: an object that is not seen for longer has left, seconds.
    """

    min_seen: int = 3
    lost_s: float = 3.0

    def __post_init__(self) -> None:
        if self.min_seen < 1 or not self.lost_s > 0:
            raise ValueError(f"expected min_seen >= 1 and lost_s > 0, got {self.min_seen} and {self.lost_s}")


@dataclass(frozen=True, eq=False)
class Followed:
    """The objects of one camera after a frame.

    Attributes:
        ids: (N,) object of each box of the frame, `NO_ID` for none that counts; ids rise and are never used again.
        class_ids: (N,) class of that object, the one with the largest sum of scores so far.
        began: ids that count from this frame on.
        left: id and class of each object that was lost for good.
    """

    ids: IntArray
    class_ids: IntArray
    began: tuple[int, ...]
    left: tuple[tuple[int, int], ...]


class ObjectTracker:
    """Follows the objects of one camera, in bounded time and memory.

    Args:
        n_classes: of the detector.

    Attributes:
        next_id: of the next object that counts.
    """

    def __init__(self, n_classes: int, rules: TrackingRules | None = None, *, first_id: int = 1) -> None:
        self._rules = rules or TrackingRules()
        self._motion = MovingBoxes()
        self._ids: IntArray = np.zeros(0, np.int64)  # NO_ID: does not count yet
        self._votes: FloatArray = np.zeros((0, n_classes), np.float32)  # sums of scores
        self._n_seen: IntArray = np.zeros(0, np.int64)
        self._colours: FloatArray = np.zeros((0, N_VALUES), np.float32)
        self.next_id = first_id
        self._time_s = -np.inf

    @property
    def n_kept(self) -> int:
        """Objects that are remembered, those that do not count yet among them."""
        return len(self._ids)

    def update(self, time_s: float, image_bgr: ImageArray, found: Detections) -> Followed:
        """Give the boxes of the next frame to objects.

        Args:
            time_s: of the frame. Where time stands still or runs backwards, all objects have left.
            image_bgr: (H, W, 3) uint8.
            found: boxes that count, in pixels of the image; of more than 500, the surest are followed.
        """
        if len(found) <= _MAX_BOXES:
            return self._follow(time_s, image_bgr, found)
        rows = np.argsort(-found.scores, kind="stable")[:_MAX_BOXES]
        followed = self._follow(time_s, image_bgr, found.select(rows))
        ids, class_ids = np.full(len(found), NO_ID, np.int64), found.class_ids.copy()
        ids[rows], class_ids[rows] = followed.ids, followed.class_ids
        return replace(followed, ids=ids, class_ids=class_ids)

    def _follow(self, time_s: float, image_bgr: ImageArray, found: Detections) -> Followed:
        left = self._forget(time_s)
        colours = colours_of(image_bgr, found.boxes_xyxy)
        given = self._give(time_s, found, colours)
        boxes = np.flatnonzero(given >= 0)
        self._see(given[boxes], time_s, found.select(boxes), colours[boxes], _are_alone(found)[boxes])
        new = np.flatnonzero(given < 0)
        given[new] = len(self._ids) + np.arange(len(new))
        self._begin(time_s, found.select(new), colours[new])
        began = self._count()
        followed = Followed(self._ids[given], self._class_ids[given], began, left)
        self._keep((self._ids != NO_ID) | (self._motion.seen_s >= time_s))
        return followed

    @property
    def _class_ids(self) -> IntArray:
        return np.asarray(self._votes.argmax(axis=1), np.int64)

    def _forget(self, time_s: float) -> tuple[tuple[int, int], ...]:
        """Drop objects that were not seen for too long, or all if time does not advance; return those that counted."""
        advances, self._time_s = time_s > self._time_s, time_s
        kept = (time_s - self._motion.seen_s <= self._rules.lost_s) & advances
        kept[np.argsort(-self._motion.seen_s, kind="stable")[_MAX_OBJECTS:]] = False
        gone = ~kept & (self._ids != NO_ID)
        left = tuple(zip(self._ids[gone].tolist(), self._class_ids[gone].tolist(), strict=True))
        self._keep(kept)
        return left

    def _give(self, time_s: float, found: Detections, colours: FloatArray) -> IntArray:
        """Return (N,) the row of the object that each box belongs to, -1 for none."""
        expected = self._motion.expected(time_s)
        overlap = iou_matrix(expected.astype(np.float32), found.boxes_xyxy)
        distance = _distances(expected, found.boxes_xyxy)
        same_class = self._class_ids[:, None] == found.class_ids[None, :]
        overlaps = overlap >= np.where(same_class, _MIN_IOU, _MIN_IOU_OTHER_CLASS)
        is_near = same_class & (distance < _MAX_DISTANCE)
        closeness = np.maximum(overlap, _DISTANCE_WEIGHT * np.maximum(0, 1 - distance / _MAX_DISTANCE))
        likeness = closeness + _COLOUR_WEIGHT * (self._colours @ colours.T)
        counts = (self._ids != NO_ID)[:, None]
        turn = np.select([overlaps & counts, is_near & counts, overlaps, is_near], [0, 1, 2, 3], default=_NEVER)
        rows, columns = np.nonzero(turn != _NEVER)
        given, boxes = pair_off(rows, columns, np.lexsort((-likeness[rows, columns], turn[rows, columns])))
        row_of_box: IntArray = np.full(len(found), -1, np.int64)
        row_of_box[boxes] = given
        return row_of_box

    def _see(self, rows: IntArray, time_s: float, found: Detections, colours: FloatArray, alone: BoolArray) -> None:
        self._motion.see(rows, time_s, found.boxes_xyxy)
        self._n_seen[rows] += 1
        self._votes[rows, found.class_ids] += found.scores
        learning = rows[alone]
        self._colours[learning] = _COLOUR_MEMORY * self._colours[learning] + (1 - _COLOUR_MEMORY) * colours[alone]

    def _begin(self, time_s: float, found: Detections, colours: FloatArray) -> None:
        n_new = len(found)
        self._motion.add(time_s, found.boxes_xyxy)
        self._ids = np.concatenate([self._ids, np.full(n_new, NO_ID)])
        votes = np.zeros((n_new, self._votes.shape[1]), np.float32)
        votes[np.arange(n_new), found.class_ids] = found.scores
        self._votes = np.concatenate([self._votes, votes])
        self._n_seen = np.concatenate([self._n_seen, np.ones(n_new, np.int64)])
        self._colours = np.concatenate([self._colours, colours])

    def _count(self) -> tuple[int, ...]:
        """Give ids to the objects that were seen often enough; return the new ids."""
        rows = np.flatnonzero((self._ids == NO_ID) & (self._n_seen >= self._rules.min_seen))
        self._ids[rows] = self.next_id + np.arange(len(rows))
        self.next_id += len(rows)
        return tuple(self._ids[rows].tolist())

    def _keep(self, kept: BoolArray) -> None:
        self._motion.keep(kept)
        self._ids, self._votes = self._ids[kept], self._votes[kept]
        self._n_seen, self._colours = self._n_seen[kept], self._colours[kept]


def _are_alone(found: Detections) -> BoolArray:
    overlap = iou_matrix(found.boxes_xyxy, found.boxes_xyxy)
    np.fill_diagonal(overlap, 0)
    return np.asarray(overlap.max(axis=1, initial=0.0) < _ALONE_IOU, np.bool_)


def _distances(expected: Float64Array, boxes_xyxy: FloatArray) -> Float64Array:
    """Return (R, C) distances of centres in sizes of the expected boxes; infinite for boxes of another size."""
    sizes, others = (np.maximum(box_sizes(boxes), 1.0) for boxes in (expected.astype(np.float32), boxes_xyxy))
    offsets = (expected[:, None, :2] + expected[:, None, 2:] - boxes_xyxy[None, :, :2] - boxes_xyxy[None, :, 2:]) / 2
    ratio = sizes[:, None] / others[None, :]
    fits = (ratio < _MAX_RATIO) & (ratio > 1 / _MAX_RATIO)
    return np.asarray(np.where(fits, np.linalg.norm(offsets, axis=2) / sizes[:, None], np.inf))
