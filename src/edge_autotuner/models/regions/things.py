"""What moves in a picture, and how large each moving object is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.core import MotionResult
from edge_autotuner.core.boxes import as_boxes, box_sizes, scale_boxes
from edge_autotuner.core.types import FloatArray, SizeWH

_MIN_SIZE_PX = 4.0


@dataclass(frozen=True, eq=False)
class MovingThings:
    """Areas of a picture that must be seen.

    Attributes:
        areas_xyxy: (A, 4) pixels of the picture; an area may hold several objects that are close to each other.
        sizes: (A,) how large an object in it is: the root of its area, pixels.
    """

    areas_xyxy: FloatArray
    sizes: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "areas_xyxy", as_boxes(self.areas_xyxy))
        object.__setattr__(self, "sizes", np.asarray(self.sizes, np.float32).reshape(-1))
        if len(self.areas_xyxy) != len(self.sizes):
            raise ValueError(f"there are {len(self.areas_xyxy)} areas, but {len(self.sizes)} sizes")

    def __len__(self) -> int:
        return len(self.sizes)

    @classmethod
    def of_boxes(cls, boxes_xyxy: FloatArray) -> MovingThings:
        """Return (N, 4) boxes of single objects."""
        boxes = as_boxes(boxes_xyxy)
        return cls(boxes, _size_of(boxes))

    @classmethod
    def together(cls, parts: Sequence[MovingThings]) -> MovingThings:
        """Return all things of some."""
        areas = [part.areas_xyxy for part in parts]
        return cls(np.concatenate(areas), np.concatenate([part.sizes for part in parts]))


def moving_things(motion: MotionResult, size_wh: SizeWH) -> MovingThings:
    """Return what the gate saw moving in a frame of this size.

    The gate joins changes that are close to each other, such as the windscreen and the bonnet of a car, and far cars in
    a queue. The largest connected change in an area tells how large one object is.
    """
    areas = motion.moving_xyxy
    whole = _size_of(areas)
    parts = _connected_changes(motion, size_wh)
    if len(areas) == 0 or len(parts) == 0:
        return MovingThings(areas, whole)
    middles = (parts[:, :2] + parts[:, 2:]) / 2
    is_in = ((middles >= areas[:, None, :2]) & (middles < areas[:, None, 2:])).all(axis=2)  # (A, P)
    largest = np.where(is_in, _size_of(parts), 0).max(axis=1)
    return MovingThings(areas, np.where(largest > 0, np.minimum(largest, whole), whole))


def _connected_changes(motion: MotionResult, size_wh: SizeWH) -> FloatArray:
    outlines, _ = cv2.findContours(motion.mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    boxes = [(x, y, x + w, y + h) for x, y, w, h in map(cv2.boundingRect, outlines)]
    height, width = motion.mask.shape
    return scale_boxes(as_boxes(boxes), from_size_wh=(width, height), to_size_wh=size_wh)


def _size_of(boxes_xyxy: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(box_sizes(boxes_xyxy), _MIN_SIZE_PX), np.float32)
