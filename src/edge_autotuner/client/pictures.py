"""Encodes pictures for the service: in as few bytes as the settings allow, losslessly by default."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.dataset.pictures import hash_bytes
from edge_autotuner.errors import DatasetError
from edge_autotuner.wire.annotation_messages import ModelInfo

_LOSSLESS_WEBP = 101  # OpenCV: above 100
_CONTENT_TYPES = {"png": "image/png", "webp": "image/webp", "jpg": "image/jpeg"}


@dataclass(frozen=True)
class EncodedPicture:
    """An encoded picture.

    Attributes:
        size_wh: of the file, pixels; boxes of the reply are in these.
        original_size_wh: of the picture before it was resized.
    """

    content: bytes
    content_type: str
    size_wh: SizeWH
    original_size_wh: SizeWH
    sha256: str


def encode_for_travel(image_bgr: ImageArray, size_wh: SizeWH, config: ServiceConfig) -> EncodedPicture:
    """Encode a (H, W, 3) picture, resized to `size_wh` as detectors resize.

    Raises:
        DatasetError: it cannot be encoded, for example because it is empty.
    """
    original_wh = image_bgr.shape[1], image_bgr.shape[0]
    options = {
        "png": [cv2.IMWRITE_PNG_COMPRESSION, 3],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, _LOSSLESS_WEBP],
        "jpg": [cv2.IMWRITE_JPEG_QUALITY, config.jpeg_quality],
    }[config.picture_format]
    try:
        resized = image_bgr if size_wh == original_wh else cv2.resize(image_bgr, size_wh)
        done, data = cv2.imencode(f".{config.picture_format}", np.ascontiguousarray(resized), options)
    except cv2.error as exc:
        raise DatasetError(f"cannot encode a picture of shape {image_bgr.shape}: {exc}") from exc
    if not done:
        raise DatasetError(f"cannot encode a picture of shape {image_bgr.shape} as {config.picture_format}")
    content = bytes(data)
    kind = _CONTENT_TYPES[config.picture_format]
    return EncodedPicture(content, kind, size_wh, original_wh, hash_bytes(content))


def travelling_size(size_wh: SizeWH, model: ModelInfo) -> SizeWH:
    """Return the size to which a picture can be shrunk before the upload without changing what the model sees.

    A picture is never enlarged: one that has no more pixels than the model's input keeps its size.
    """
    width, height = model.input_size_wh
    if model.resize == "stretch":
        return model.input_size_wh if width * height < size_wh[0] * size_wh[1] else size_wh
    ratio = min(width / size_wh[0], height / size_wh[1])
    if ratio >= 1:
        return size_wh
    return max(1, int(size_wh[0] * ratio)), max(1, int(size_wh[1] * ratio))
