"""Frames of pictures that are there already."""

from __future__ import annotations

import cv2
import numpy as np

from edge_autotuner.core import Frame
from edge_autotuner.core.types import ImageArray


def frame_of(image_bgr: ImageArray, *, index: int, time_s: float, file_name: str | None = None) -> Frame:
    """Return a frame of a (H, W, 3) uint8 picture."""
    luma = np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), np.uint8)
    return Frame(index, time_s, luma, lambda: image_bgr, file_name)
