"""A teacher family: `acme:LEVEL` calls everything brighter than LEVEL a car."""

from __future__ import annotations

import cv2
import numpy as np

from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import STREET_6, Detections, DetectorBase, LabelMap
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.errors import ConfigError

_DEFAULT_LEVEL = "200"
_SCORE = 0.9


def open_teacher(argument: str, config: AnnotationConfig, *, n_threads: int | None) -> tuple[BrightThings, str]:
    """Open the teacher; its answers depend on nothing but the level."""
    level = argument or _DEFAULT_LEVEL
    if not level.isdecimal():
        raise ConfigError(f"teacher acme:{level}: a level is a number in 0..255")
    return BrightThings(int(level)), level


class BrightThings(DetectorBase):
    """Finds bright areas; a core `Detector`."""

    def __init__(self, level: int) -> None:
        self._level = level

    @property
    def labels(self) -> LabelMap:
        """The classes that it could name."""
        return STREET_6

    @property
    def input_size_wh(self) -> SizeWH:
        """Pictures are not resized; this size stands in reports."""
        return 192, 128

    def detect(self, image_bgr: ImageArray) -> Detections:
        """Return the bright areas of a picture."""
        mask = (image_bgr.min(axis=2) > self._level).astype(np.uint8)
        boxes = [(x, y, x + w, y + h) for x, y, w, h, _ in cv2.connectedComponentsWithStats(mask)[2][1:].tolist()]
        class_ids = np.full(len(boxes), STREET_6.id_of("car"), np.int64)
        return Detections(
            np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), _SCORE, np.float32), class_ids
        )
