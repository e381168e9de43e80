"""A decoded picture as it is to be seen: upright, and in 8 bits.

The motion gate needs brightness only, and most videos store it as a plane of its own: that plane is handed out without
a copy, and colours are computed when something asks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from edge_autotuner.capture.levels import DeepImage, Levels, as_bgr, find_levels
from edge_autotuner.capture.upright import orientation_of
from edge_autotuner.core.types import ImageArray


def shown_picture(picture: VideoFrame, levels: Levels | None) -> tuple[ImageArray, Callable[[], ImageArray]]:
    """Return the upright brightness of a decoded picture, and a function that returns its upright colours.

    Args:
        picture: as it was decoded.
        levels: how grey pictures of more than 8 bits become visible; None: by the full scale.
    """
    orientation = orientation_of(picture)
    if levels is not None and is_deep_grey(picture):
        luma = orientation.apply(levels.apply(deep_grey_of(picture)))
        return luma, partial(as_bgr, luma)
    if orientation.is_identity:
        return luma_of(picture), partial(bgr_of, picture)
    return orientation.apply(luma_of(picture)), lambda: orientation.apply(bgr_of(picture))


class LevelsOfFirst:
    """Finds once, by the first picture of a camera, how its grey pictures of more than 8 bits become visible."""

    def __init__(self) -> None:
        self._levels: Levels | None = None

    def of(self, picture: VideoFrame) -> Levels | None:
        """Return the levels; None for pictures of 8 bits, or with colours."""
        if self._levels is None and is_deep_grey(picture):
            self._levels = find_levels([deep_grey_of(picture)], scale_max=scale_max_of(picture))
        return self._levels


def luma_of(picture: VideoFrame) -> ImageArray:
    """Return (H, W) uint8 brightness: the decoder's own plane where it is one byte per pixel, else a conversion.

    The plane is read-only, in the range of the video, usually 16 to 235, and keeps the picture in memory.
    """
    plane = picture.planes[0]
    row_bytes = plane.line_size
    if not _has_byte_luma_plane(picture) or row_bytes < picture.width:
        return picture.to_ndarray(format="gray")  # type: ignore[return-value]
    rows = np.frombuffer(memoryview(plane), np.uint8)[: row_bytes * picture.height].reshape(picture.height, row_bytes)
    luma: ImageArray = rows[:, : picture.width]
    luma.flags.writeable = False
    return luma


def bgr_of(picture: VideoFrame) -> ImageArray:
    """Return the (H, W, 3) uint8 colours in OpenCV's channel order."""
    return picture.to_ndarray(format="bgr24")  # type: ignore[return-value]


def is_deep_grey(picture: VideoFrame) -> bool:
    """Whether a picture has no colours, and more than 8 bits: as from a thermal camera."""
    shown = [part for part in picture.format.components if not part.is_alpha]
    return len(shown) == 1 and shown[0].bits > 8 and not _is_coded(picture)


def deep_grey_of(picture: VideoFrame) -> DeepImage:
    """Return the (H, W) uint16 values of a picture that `is_deep_grey`."""
    values: NDArray[np.uint16] = picture.to_ndarray(format="gray16le")  # type: ignore[assignment]
    return np.right_shift(values, 16 - min(16, picture.format.components[0].bits))


def scale_max_of(picture: VideoFrame) -> float:
    """Return the largest value that `deep_grey_of` can have."""
    return float(2 ** min(16, picture.format.components[0].bits) - 1)


def _has_byte_luma_plane(picture: VideoFrame) -> bool:
    shape = picture.format
    first = shape.components[0]
    in_own_plane = shape.is_planar or len(shape.components) == 1
    return in_own_plane and not _is_coded(picture) and first.plane == 0 and first.bits == 8


def _is_coded(picture: VideoFrame) -> bool:
    shape = picture.format
    return shape.is_rgb or shape.has_palette or shape.is_bit_stream or shape.is_bayer
