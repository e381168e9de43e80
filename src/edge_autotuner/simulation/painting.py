"""Puts the pictures of actors into a frame, with their shadows, and tells which pixels belong to whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.core.types import BoolArray, ImageArray, SizeWH
from edge_autotuner.simulation.sprites import Sprite

_Slices = tuple[slice, slice]

_CONTACT_SHADE = 0.55  # brightness left in the shadow right under an object
_CAST_SHADE = 0.5  # brightness that the darkest long shadow takes away
_CAST_RIGHT, _CAST_DOWN = 0.8, 0.22  # where a point of height 1 throws its shadow, in heights: the sun stands behind


@dataclass(frozen=True, eq=False)
class Placed:
    """An actor's picture at its place in one frame, which may be partly or wholly outside.

    Attributes:
        class_id: in `STREET_6`.
        sprite: its picture; the lowest row stands on the ground.
        left: column of the picture's left edge, frame pixels.
        top: row of its upper edge.
    """

    class_id: int
    sprite: Sprite
    left: int
    top: int

    @property
    def solid(self) -> BoolArray:
        """(h, w): where the picture is more opaque than transparent."""
        return np.asarray(self.sprite.alpha >= 128)

    def overlap(self, size_wh: SizeWH) -> tuple[_Slices, _Slices]:
        """Return the rows and columns that the picture shares with the frame, in the frame and in the picture."""
        height, width = self.sprite.alpha.shape
        x1, x2 = (min(max(x, 0), size_wh[0]) for x in (self.left, self.left + width))
        y1, y2 = (min(max(y, 0), size_wh[1]) for y in (self.top, self.top + height))
        in_picture = slice(y1 - self.top, y2 - self.top), slice(x1 - self.left, x2 - self.left)
        return (slice(y1, y2), slice(x1, x2)), in_picture

    def box_in_frame(self, size_wh: SizeWH) -> tuple[int, int, int, int]:
        """Return the corners of the whole object, hidden parts included, cut at the border of the frame."""
        ys, xs = np.nonzero(self.solid)
        x1, x2 = (min(max(int(x) + self.left, 0), size_wh[0]) for x in (xs.min(), xs.max() + 1))
        y1, y2 = (min(max(int(y) + self.top, 0), size_wh[1]) for y in (ys.min(), ys.max() + 1))
        return x1, y1, x2, y2


def owners(placed: Sequence[Placed], size_wh: SizeWH) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """Return (H, W): the position in `placed`, far to near, of the nearest object at each pixel; -1 for none."""
    owner = np.full((size_wh[1], size_wh[0]), -1, np.int16)
    for number, one in enumerate(placed):
        in_frame, in_picture = one.overlap(size_wh)
        owner[in_frame][one.solid[in_picture]] = number
    return owner


def paint_actor_in_place(image: ImageArray, placed: Placed) -> None:
    """Draw a picture over the (H, W, 3) frame."""
    in_frame, in_picture = placed.overlap((image.shape[1], image.shape[0]))
    alpha = placed.sprite.alpha[in_picture].astype(np.float32)[..., None] / 255
    own = placed.sprite.image_bgr[in_picture]
    image[in_frame] = np.rint(own * alpha + image[in_frame] * (1 - alpha)).astype(np.uint8)


def paint_contact_shadow_in_place(image: ImageArray, placed: Placed) -> None:
    """Darken the ground right under an object."""
    height, width = placed.sprite.alpha.shape
    centre = placed.left + width // 2, placed.top + height - 1
    shade = np.zeros(image.shape[:2], np.uint8)
    cv2.ellipse(shade, centre, (max(2, width // 2), max(1, width // 22)), 0, 0, 360, 1, -1)
    image[shade > 0] = (image[shade > 0] * _CONTACT_SHADE).astype(np.uint8)


def paint_cast_shadow_in_place(image: ImageArray, placed: Placed, darkness: float) -> None:
    """Lay an object's outline on the ground beside it, as dark as `darkness` in 0..1 says."""
    height = placed.sprite.alpha.shape[0]
    to_ground = np.array([
        [1.0, -_CAST_RIGHT, placed.left + _CAST_RIGHT * height],
        [0.0, -_CAST_DOWN, placed.top + height + _CAST_DOWN * height],
    ])  # fmt: skip
    frame_wh = image.shape[1], image.shape[0]
    shadow = cv2.warpAffine(placed.sprite.alpha, to_ground, frame_wh)  # (H, W), 0 outside of it
    soft = cv2.GaussianBlur(shadow, (5, 5), 0).astype(np.float32)[..., None] / 255
    image[:] = (image * (1 - _CAST_SHADE * darkness * soft)).astype(np.uint8)
