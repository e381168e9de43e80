"""Draws small pictures with soft edges over a training picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_autotuner.core.types import FloatArray, ImageArray


@dataclass(frozen=True, eq=False)
class Patch:
    """A small picture to draw over another one.

    Attributes:
        image_bgra: (h, w, 4) uint8; the last channel is the opacity, which is 0 along the border.
        to_picture: (2, 3) map from the patch's pixels to those of the picture, corners counted from 0.
        gain_bgr: (3,) brightness factors of the colours.
    """

    image_bgra: ImageArray
    to_picture: FloatArray
    gain_bgr: FloatArray


def placement(
    scale_xy: tuple[float, float], corner_xy: tuple[float, float], width: float, *, is_mirrored: bool
) -> FloatArray:
    """Return the (2, 3) map that puts a picture on a canvas.

    Args:
        scale_xy: canvas pixels per pixel of the picture.
        corner_xy: its top left corner, canvas pixels.
        width: of the picture there, canvas pixels.
        is_mirrored: swaps left and right.
    """
    (sx, sy), (x, y) = scale_xy, corner_xy
    if is_mirrored:
        return np.array([[-sx, 0, x + width], [0, sy, y]], np.float32)
    return np.array([[sx, 0, x], [0, sy, y]], np.float32)


def compose(outer: FloatArray, inner: FloatArray) -> FloatArray:
    """Return the (2, 3) map that applies `inner` first and `outer` to its result."""
    composed = outer[:, :2] @ inner
    composed[:, 2] += outer[:, 2]
    return np.asarray(composed, np.float32)


def pixel_warp(matrix: FloatArray) -> npt.NDArray[np.float64]:
    """Return the map for `cv2.warpAffine`, whose origin is the centre of the first pixel, not its corner."""
    warp = np.array(matrix, np.float64)
    warp[:, 2] += (warp[:, :2].sum(axis=1) - 1) / 2
    return warp


def draw_patch_in_place(image_bgr: ImageArray, patch: Patch, to_canvas: FloatArray) -> None:
    """Draw a patch of a picture on a canvas that shows this picture.

    Args:
        image_bgr: (H, W, 3) the canvas, changed.
        patch: what to draw; clipped to the canvas.
        to_canvas: (2, 3) map from the picture's pixels to those of the canvas; scale, mirror and shift only.
    """
    matrix = compose(to_canvas, patch.to_picture)
    height, width = patch.image_bgra.shape[:2]
    corners = matrix[:, :2] @ np.array([[0, width], [0, height]], np.float32) + matrix[:, 2:]  # (2, 2): x, y by corner
    x1, y1 = np.maximum(np.floor(corners.min(axis=1)).astype(int), 0)
    x2, y2 = np.minimum(np.ceil(corners.max(axis=1)).astype(int), image_bgr.shape[1::-1])
    if x2 <= x1 or y2 <= y1:
        return
    matrix[:, 2] -= x1, y1
    warped = cv2.warpAffine(patch.image_bgra, pixel_warp(matrix), (int(x2 - x1), int(y2 - y1)), flags=cv2.INTER_LINEAR)
    alpha = warped[..., 3:].astype(np.float32) / 255
    drawn = np.minimum(warped[..., :3] * patch.gain_bgr, 255)
    under = image_bgr[y1:y2, x1:x2]
    under[:] = np.rint(under + (drawn - under) * alpha).astype(np.uint8)
