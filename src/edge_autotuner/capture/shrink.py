"""Frames at working size: large pictures are halved, which is fast, and only the rest of the way is interpolated."""

from __future__ import annotations

import cv2
import numpy as np

from edge_autotuner.core.types import ImageArray


def shrink(luma: ImageArray, max_width_px: int) -> ImageArray:
    """Return the picture with at most this width, its proportions kept.

    Halving averages 2x2 pixels, so that noise shrinks along with the picture. OpenCV does it ten times as fast as
    area interpolation in one step, which costs more than everything else that the gate does.

    Args:
        luma: (H, W) uint8; the answer is this very array if it is narrow enough.
        max_width_px: at least 1.
    """
    height, width = luma.shape
    small = luma
    while width >= 2 * max_width_px:
        width, height = width // 2, max(1, height // 2)
        small = _resize(small, width, height)
    if width > max_width_px:
        small = _resize(small, max_width_px, max(1, round(height * max_width_px / width)))
    return small


def _resize(luma: ImageArray, width: int, height: int) -> ImageArray:
    # at exactly half the size, bilinear interpolation is the mean of 2x2 pixels
    return np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
