"""Turns pictures the way up that their file says: phones and ceiling cameras store them lying or upside down.

A file states it as a display matrix. Players and OpenCV follow it, so coordinates of other programs are of the upright
picture, and ours are too.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from av.video.frame import VideoFrame

from edge_autotuner.core.types import ImageArray, SizeWH

_ONE = 65536.0  # the matrix has 16.16 fixed-point numbers
_TOLERANCE = 0.02  # of a sine: one degree


@dataclass(frozen=True)
class Orientation:
    """How a stored picture becomes the shown one: transposed first, then mirrored.

    Attributes:
        transposed: rows become columns.
        mirrored_x: left and right change places.
        mirrored_y: top and bottom change places.
        is_exact: False where the file asks for something else than quarter turns and mirrors, which is not done.
    """

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False
    is_exact: bool = True

    @property
    def is_identity(self) -> bool:
        """Whether the picture is shown as it is stored."""
        return not (self.transposed or self.mirrored_x or self.mirrored_y)

    def size_of(self, size_wh: SizeWH) -> SizeWH:
        """Return the size of the shown picture."""
        return (size_wh[1], size_wh[0]) if self.transposed else size_wh

    def apply(self, image: ImageArray) -> ImageArray:
        """Return a (H, W) or (H, W, 3) picture as it is shown; one that is stored so comes back itself."""
        if self.is_identity:
            return image
        turned = cv2.transpose(image) if self.transposed else image
        if self.mirrored_x or self.mirrored_y:
            turned = cv2.flip(turned, -1 if self.mirrored_x and self.mirrored_y else int(self.mirrored_x))
        return np.asarray(turned, np.uint8)


UPRIGHT = Orientation()


def orientation_of(picture: VideoFrame) -> Orientation:
    """Return the rotation and mirroring that a decoded picture states."""
    side_data = cast(Mapping[str, Any], picture.side_data)  # PyAV's own types say something else
    matrix = side_data.get("DISPLAYMATRIX")
    return UPRIGHT if matrix is None else orientation_of_matrix(bytes(matrix))


def orientation_of_matrix(matrix: bytes) -> Orientation:
    """Read a display matrix: nine 32-bit numbers a b u, c d v, x y w of the machine's byte order.

    A stored point (p, q) is shown at (a p + c q, b p + d q), y downwards. What neither turns by quarters nor mirrors,
    such as a turn by 10 degrees, is not followed.
    """
    if len(matrix) != 36:
        return Orientation(is_exact=False)
    numbers = struct.unpack("=9i", matrix)
    a, b, c, d = (numbers[i] / _ONE for i in (0, 1, 3, 4))
    size = max(abs(a), abs(b), abs(c), abs(d))
    if size == 0:
        return Orientation(is_exact=False)
    if max(abs(b), abs(c)) <= _TOLERANCE * size and min(abs(a), abs(d)) > 0:
        return Orientation(False, a < 0, d < 0)
    if max(abs(a), abs(d)) <= _TOLERANCE * size and min(abs(b), abs(c)) > 0:
        return Orientation(True, c < 0, b < 0)
    return Orientation(is_exact=False)
