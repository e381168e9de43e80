"""Pictures with known objects, and a detector that sees exactly them: real geometry without a network.

A person is a rectangle of grey level 120, a car one of 220, on black. Grey survives the way through a stored
background, which has no colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from edge_autotuner.core import Detections, DetectorBase, LabelMap
from edge_autotuner.core.types import ImageArray, SizeWH

LABELS = LabelMap(("person", "car"))
GREY = {"person": 120, "car": 220}
Box = tuple[int, int, int, int]


def paint(size_wh: SizeWH, objects: list[tuple[str, Box]]) -> ImageArray:
    """Return a (H, W, 3) picture of (name, corners) objects, which must not touch."""
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    for name, (x1, y1, x2, y2) in objects:
        image[y1:y2, x1:x2] = GREY[name]
    return image


class GreyDetector(DetectorBase):
    """Sees the grey rectangles of a picture that are large enough after resizing to its input.

    Args:
        min_side_px: smallest side in input pixels that it sees.
        score: of everything that it sees.
        labels: its classes, in its own order.
    """

    def __init__(
        self,
        *,
        input_size_wh: SizeWH = (100, 100),
        min_side_px: float = 1.0,
        score: float = 0.9,
        labels: LabelMap = LABELS,
    ) -> None:
        self.labels = labels
        self.input_size_wh = input_size_wh
        self.shapes_seen: list[tuple[int, ...]] = []
        self._min_side_px = min_side_px
        self._score = score

    def detect(self, image_bgr: ImageArray) -> Detections:
        """Return the rectangles in pixels of the picture."""
        self.shapes_seen.append(image_bgr.shape)
        boxes, class_ids = [], []
        for name, grey in GREY.items():
            mask = (np.abs(image_bgr[:, :, 0].astype(int) - grey) <= 20).astype(np.uint8)
            stats = cv2.connectedComponentsWithStats(mask)[2][1:]
            for x, y, width, height, _ in stats.tolist():
                if self._is_large(width, height, image_bgr):
                    boxes.append((x, y, x + width, y + height))
                    class_ids.append(self.labels.id_of(name))
        scores = np.full(len(boxes), self._score, np.float32)
        return Detections(np.array(boxes, np.float32), scores, np.array(class_ids, np.int64))

    def _is_large(self, width: int, height: int, image: ImageArray) -> bool:
        sx = self.input_size_wh[0] / image.shape[1]
        sy = self.input_size_wh[1] / image.shape[0]
        return min(width * sx, height * sy) >= self._min_side_px


class TogetherDetector(GreyDetector):
    """The same, for several pictures in one call; keeps how many came together."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.n_together: list[int] = []

    def detect_batch(self, images: Sequence[ImageArray]) -> list[Detections]:
        """Return what `detect` returns for each."""
        self.n_together.append(len(images))
        return [self.detect(image) for image in images]


def boxes_of(detections: Detections) -> list[tuple[str, Box]]:
    """Return (name, corners) by position, to compare with what was painted."""
    found = zip(detections.class_ids.tolist(), detections.boxes_xyxy.tolist(), strict=True)
    return sorted((LABELS[c], (int(a), int(b), int(x), int(y))) for c, (a, b, x, y) in found)
