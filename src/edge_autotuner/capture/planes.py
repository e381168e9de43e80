"""Brightness and colours of a decoded picture.

The motion gate needs brightness only, and most videos store it as a plane of its own: that plane is handed
out without a copy, and the colours of a picture are computed only when somebody asks for them.
"""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from edge_autotuner.capture.levels import DeepImage
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


def is_deep_grey(picture: VideoFrame) -> bool:
    """Whether a picture has no colours, and more than 8 bits: that of a thermal camera, say."""
    shape = picture.format
    shown = [part for part in shape.components if not part.is_alpha]
    coded = shape.is_rgb or shape.has_palette or shape.is_bit_stream or shape.is_bayer
    return len(shown) == 1 and shown[0].bits > 8 and not coded


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
    coded = shape.is_rgb or shape.has_palette or shape.is_bit_stream or shape.is_bayer
    return in_own_plane and not coded and first.plane == 0 and first.bits == 8
