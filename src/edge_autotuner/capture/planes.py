"""Brightness and colours of a decoded picture.

The motion gate needs brightness only, and most videos store it as a plane of its own: that plane is handed
out without a copy, and the colours of a picture are computed only when somebody asks for them.
"""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame

from edge_autotuner.core.types import ImageArray


def luma_of(picture: VideoFrame) -> ImageArray:
    """Return (H, W) uint8 brightness: the decoder's own plane where it is one byte per pixel, else a conversion.

    The plane is read-only and in the range of the video, usually 16 to 235. Its rows are padded to the
    decoder's liking. It keeps the picture in memory.
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


def _has_byte_luma_plane(picture: VideoFrame) -> bool:
    shape = picture.format
    first = shape.components[0]
    in_own_plane = shape.is_planar or len(shape.components) == 1
    coded = shape.is_rgb or shape.has_palette or shape.is_bit_stream or shape.is_bayer
    return in_own_plane and not coded and first.plane == 0 and first.bits == 8
