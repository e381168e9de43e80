"""Where objects of a class stand in a camera's picture, and how large they are there, learned from all labels."""

from __future__ import annotations

import numpy as np

from edge_autotuner.core.boxes import covered_fraction, iou_matrix
from edge_autotuner.core.types import FloatArray, IntArray, SizeWH

_MAX_SPOTS = 1500
_N_NEIGHBOURS = 9
_X_WEIGHT = 0.5  # size follows the row more than the column
_RESIZE = 0.6, 1.4  # more would be visibly soft
_MAX_ASPECT_RATIO = 1.3  # another shape shows another side of the object, or a part of it
_MAX_HIDDEN = 0.1
_SAME_OBJECT_IOU = 0.6  # an uncertain box so close is the same object with another class
_BORDER_PX = 3.0
_JITTER_XY = 0.5, 0.1  # of the width and height of the spot's box, each way: further up or down is off the ground


def free_standing(boxes_xyxy: FloatArray, ignored_xyxy: FloatArray, size_wh: SizeWH) -> IntArray:
    """Mask the labels, (G, 4), that are whole objects: not covered by others, not near the border."""
    covered = covered_fraction(boxes_xyxy, np.concatenate([boxes_xyxy, ignored_xyxy]))  # (G, G + I)
    np.fill_diagonal(covered, 0)
    covered[:, len(boxes_xyxy) :][iou_matrix(boxes_xyxy, ignored_xyxy) >= _SAME_OBJECT_IOU] = 0
    is_inside = (boxes_xyxy[:, :2] >= _BORDER_PX).all(axis=1) & (
        boxes_xyxy[:, 2:] <= np.array(size_wh) - _BORDER_PX
    ).all(axis=1)
    return np.flatnonzero(is_inside & (covered <= _MAX_HIDDEN).all(axis=1))


def foot_points(boxes_xyxy: FloatArray) -> FloatArray:
    """Return (N, 2): the middle of each box's lower edge, where an object touches the ground."""
    return np.stack([(boxes_xyxy[:, 0] + boxes_xyxy[:, 2]) / 2, boxes_xyxy[:, 3]], axis=1)


class ClassSpots:
    """The spots where objects of one class were seen.

    The size at a spot is the median height of the labels whose feet are nearest, which holds for any lens and any
    ground. An object may go where others with about the same shape of box were seen: on the paths of its class, and
    seen from a side that occurs there.
    """

    def __init__(self, boxes_xyxy: FloatArray, size_wh: SizeWH, rng: np.random.Generator) -> None:
        """Learn from (N, 4) boxes of whole objects, N >= 1, frame pixels."""
        if len(boxes_xyxy) > _MAX_SPOTS:
            boxes_xyxy = boxes_xyxy[np.sort(rng.choice(len(boxes_xyxy), _MAX_SPOTS, replace=False))]
        self._boxes = boxes_xyxy
        self._unit = np.array([size_wh[0] / _X_WEIGHT, size_wh[1]], np.float32)
        self._heights = self.expected_heights(boxes_xyxy)
        self._log_aspects = _log_aspects(boxes_xyxy)

    def expected_heights(self, boxes_xyxy: FloatArray) -> FloatArray:
        """Return (M,) the usual heights of objects with the feet of these (M, 4) boxes, pixels."""
        feet, known = foot_points(boxes_xyxy) / self._unit, foot_points(self._boxes) / self._unit
        squared = ((feet[:, None] - known[None]) ** 2).sum(axis=2)  # (M, N)
        k = min(_N_NEIGHBOURS, len(known))
        nearest = np.argpartition(squared, k - 1, axis=1)[:, :k]
        heights = self._boxes[:, 3] - self._boxes[:, 1]
        return np.asarray(np.median(heights[nearest], axis=1), np.float32)

    def fitting(self, box_xyxy: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return the indices of the spots for an object with this (4,) box, and the factors of its size there."""
        ratios = self._heights / self.expected_heights(box_xyxy[None])
        difference = np.abs(self._log_aspects - _log_aspects(box_xyxy[None]))
        is_right_size = (ratios >= _RESIZE[0]) & (ratios <= _RESIZE[1])
        spots = np.flatnonzero(is_right_size & (difference <= np.log(_MAX_ASPECT_RATIO)))
        return spots, ratios[spots]

    def foot_near(self, spot: int, rng: np.random.Generator) -> FloatArray:
        """Return a (2,) foot point near that of a spot, frame pixels."""
        box = self._boxes[spot]
        jitter = rng.uniform(-1, 1, 2) * _JITTER_XY * (box[2:] - box[:2])
        return np.asarray(foot_points(box[None])[0] + jitter, np.float32)


def _log_aspects(boxes_xyxy: FloatArray) -> FloatArray:
    sides = np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 1e-3)
    return np.asarray(np.log(sides[:, 0] / sides[:, 1]), np.float32)
