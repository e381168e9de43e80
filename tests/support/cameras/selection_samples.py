"""What a motion gate would say of small scenes with squares, and a student that finds bright squares."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.capture import MotionResult
from edge_autotuner.capture.regions import union_area
from edge_autotuner.core import STREET_6, Detections, DetectorBase, Frame, LabelMap
from edge_autotuner.core.types import ImageArray, SizeWH

SIZE_WH = (96, 64)
SCENE_GREY = 100
THRESHOLD = 20


@dataclass(frozen=True)
class Square:
    """An object; all values in pixels and grey levels."""

    left: int
    top: int = 20
    side: int = 10
    grey: int = 200


def scene(*squares: Square, size_wh: SizeWH = SIZE_WH) -> ImageArray:
    """Return the (H, W) brightness of a flat scene; later squares hide earlier ones."""
    luma = np.full((size_wh[1], size_wh[0]), SCENE_GREY, np.uint8)
    for square in squares:
        luma[square.top : square.top + square.side, square.left : square.left + square.side] = square.grey
    return luma


def frame_at(index: int, time_s: float | None = None, *squares: Square, size_wh: SizeWH = SIZE_WH) -> Frame:
    """Return a frame of the scene; without a time, ten frames a second."""
    luma = scene(*squares, size_wh=size_wh)
    return Frame(index, index / 10 if time_s is None else time_s, luma, lambda: np.repeat(luma[:, :, None], 3, axis=2))


def motion_of(*squares: Square, known: bool = True, size_wh: SizeWH = SIZE_WH) -> MotionResult:
    """Return a gate's result: each square is a region of its own, without margin."""
    luma = scene(*squares, size_wh=size_wh)
    mask = luma != SCENE_GREY if known else np.zeros(luma.shape, bool)
    boxes = [(s.left, s.top, s.left + s.side, s.top + s.side) for s in squares] if known else []
    regions = np.array(boxes, np.float32).reshape(-1, 4)
    fraction = union_area(regions) / (size_wh[0] * size_wh[1])
    return MotionResult(regions, fraction, mask, luma, scene(size_wh=size_wh) if known else None)


class BrightSquares(DetectorBase):
    """A student: bright areas are cars, and the brighter, the surer. In a large picture it misses small ones."""

    labels: LabelMap = STREET_6
    input_size_wh: SizeWH = (32, 32)

    def __init__(self, *, min_share: float = 0.0) -> None:
        """Find areas of at least this share of the picture."""
        self._min_share = min_share
        self.n_calls = 0

    def detect(self, image_bgr: ImageArray) -> Detections:
        """Return the areas brighter than the scene; the score is the brightness / 255."""
        self.n_calls += 1
        grey = image_bgr[:, :, 0]
        _, _, stats, _ = cv2.connectedComponentsWithStats((grey > SCENE_GREY).astype(np.uint8))
        areas = [area for area in stats[1:].tolist() if area[4] >= self._min_share * grey.size]
        boxes = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in areas], np.float32).reshape(-1, 4)
        scores = np.array([grey[y, x] / 255 for x, y, *_ in areas], np.float32)
        class_ids = np.full(len(areas), STREET_6.names.index("car"), np.int64)
        return Detections(boxes, scores, class_ids).sorted_by_score()
