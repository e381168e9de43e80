"""Cuts out moving objects by the difference between a picture and the empty scene."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.core.boxes import as_boxes, iou_matrix
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray, SizeWH
from edge_autotuner.training.clean_plate import inside_boxes
from edge_autotuner.training.patches import pixel_warp

_MIN_SIDE_PX = 4.0
_MARGIN = 0.3  # of the box, looked at on each side of it
_MIN_MARGIN_PX = 4
_MIN_LEVELS, _NOISE_FACTOR = 12.0, 4.0  # a changed pixel differs by more than both ...
_WEAK = 0.7  # ... or by this share of it, beside one that does
_MAX_RING_CHANGED = 0.35  # share of the surroundings; more: another object, a shadow, or a camera that moved
_MIN_RING_PX = 16
_MIN_FILL = 0.35  # share of its box that an object covers
_MIN_SOLIDITY = 0.7  # share of its convex hull: less is a rim, the middle looks like the road
_MIN_BOX_IOU = 0.7  # of the changed pixels' extent with the box
_MIN_PART = 0.1  # smaller pieces, as shares of the largest, are dropped
_CLOSING = 0.15  # of the box's shorter side


@dataclass(frozen=True, eq=False)
class Mask:
    """Which pixels of a picture belong to an object.

    Attributes:
        is_object: (h, w).
        left: column of the mask's first column in the picture.
        top: row of its first row.
    """

    is_object: BoolArray
    left: int
    top: int


def object_mask(
    image_bgr: ImageArray, plate_bgr: ImageArray, box_xyxy: FloatArray, others_xyxy: FloatArray
) -> Mask | None:
    """Return the mask of what differs from the empty scene inside a labelled box.

    Args:
        image_bgr: (H, W, 3) the picture.
        plate_bgr: (H, W, 3) the empty scene.
        box_xyxy: (4,) the object's label, pixels of the picture.
        others_xyxy: (K, 4) boxes of other objects; not used to measure noise.

    Returns:
        None where no object stands out: parked, as dark as the road, tiny, or with everything around changed.
    """
    sides = box_xyxy[2:] - box_xyxy[:2]
    if sides.min() < _MIN_SIDE_PX:
        return None
    margin = np.maximum(_MARGIN * sides, _MIN_MARGIN_PX)
    size_wh = np.array(image_bgr.shape[1::-1])
    x1, y1 = np.clip(np.floor(box_xyxy[:2] - margin), 0, size_wh).astype(int)
    x2, y2 = np.clip(np.ceil(box_xyxy[2:] + margin), 0, size_wh).astype(int)
    offset = np.array([x1, y1, x1, y1], np.float32)
    window_wh = int(x2 - x1), int(y2 - y1)
    box = inside_boxes((box_xyxy - offset)[None], window_wh, grow_px=1)
    ring = ~(box | inside_boxes(others_xyxy - offset, window_wh, grow_px=1))
    if ring.sum() < _MIN_RING_PX:
        return None
    difference = _difference(image_bgr[y1:y2, x1:x2], plate_bgr[y1:y2, x1:x2], ring)
    if (difference[ring] > 1).mean() > _MAX_RING_CHANGED:
        return None
    mask = _whole_object(np.where(box, difference, 0), closing_px=_CLOSING * float(sides.min()))
    return Mask(mask, int(x1), int(y1)) if _fits(mask, box_xyxy - offset) else None


def cut_out(image_bgr: ImageArray, mask: Mask, mask_size_wh: SizeWH) -> tuple[ImageArray, tuple[int, int]]:
    """Return an object with a soft edge.

    Args:
        image_bgr: (H, W, 3) its picture, of any resolution.
        mask: of the object; the border of its picture stays free.
        mask_size_wh: size of the mask's picture.

    Returns:
        (h, w, 4) BGR and opacity, the latter 0 along the border; and the column and row of its corner in `image_bgr`.
    """
    sx, sy = image_bgr.shape[1] / mask_size_wh[0], image_bgr.shape[0] / mask_size_wh[1]
    opacity = cv2.GaussianBlur(mask.is_object.astype(np.uint8) * 255, (3, 3), 0)
    ys, xs = np.nonzero(opacity)
    left, right = (mask.left + xs.min() - 1) * sx, (mask.left + xs.max() + 2) * sx
    top, bottom = (mask.top + ys.min() - 1) * sy, (mask.top + ys.max() + 2) * sy
    x1, y1 = max(int(np.floor(left)), 0), max(int(np.floor(top)), 0)
    x2, y2 = min(int(np.ceil(right)), image_bgr.shape[1]), min(int(np.ceil(bottom)), image_bgr.shape[0])
    enlarge = np.array([[sx, 0, mask.left * sx - x1], [0, sy, mask.top * sy - y1]], np.float32)
    alpha = cv2.warpAffine(opacity, pixel_warp(enlarge), (x2 - x1, y2 - y1), flags=cv2.INTER_LINEAR)
    return np.dstack([image_bgr[y1:y2, x1:x2], alpha]), (x1, y1)


def _difference(image_bgr: ImageArray, plate_bgr: ImageArray, ring: BoolArray) -> FloatArray:
    """Return the difference from the plate in the light of the surroundings; above 1 it is not noise."""
    image, plate = image_bgr.astype(np.float32), plate_bgr.astype(np.float32)
    gain = np.median(image[ring] + 1, axis=0) / np.median(plate[ring] + 1, axis=0)  # (3,)
    difference = np.abs(image - plate * gain).max(axis=2)
    noise = 1.4826 * float(np.median(difference[ring]))
    return np.asarray(difference / max(_MIN_LEVELS, _NOISE_FACTOR * noise), np.float32)


def _whole_object(difference: FloatArray, *, closing_px: float) -> BoolArray:
    """Grow clear differences to connected weaker ones; close gaps, fill holes, drop small pieces."""
    _, pieces = cv2.connectedComponents((difference > _WEAK).astype(np.uint8))
    changed = np.isin(pieces, pieces[difference > 1])
    side = 2 * max(1, round(closing_px / 2)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    closed = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_CLOSE, kernel, borderValue=0)
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = [cv2.contourArea(outline) for outline in outlines]
    large = [o for o, area in zip(outlines, areas, strict=True) if area >= _MIN_PART * max(areas)]
    return np.asarray(cv2.drawContours(np.zeros_like(closed), large, -1, 1, cv2.FILLED), bool)


def _fits(mask: BoolArray, box_xyxy: FloatArray) -> bool:
    """Whether a mask covers enough of its box, and has about its extent."""
    if mask.sum() < _MIN_FILL * float(np.prod(box_xyxy[2:] - box_xyxy[:2])):
        return False
    ys, xs = np.nonzero(mask)
    hull = cv2.convexHull(np.stack([xs, ys], axis=1).astype(np.int32))
    if mask.sum() < _MIN_SOLIDITY * cv2.contourArea(hull):
        return False
    extent = as_boxes([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]])
    return bool(iou_matrix(extent, as_boxes([box_xyxy]))[0, 0] >= _MIN_BOX_IOU)
