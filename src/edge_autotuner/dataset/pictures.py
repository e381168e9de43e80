"""Encodes, decodes and hashes pictures, and says how they may be changed before they are stored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from edge_autotuner.core.types import FloatArray, ImageArray, SizeWH
from edge_autotuner.dataset.picture_bounds import pixel_bytes
from edge_autotuner.dataset.picture_header import BadPicture
from edge_autotuner.errors import DatasetError

PictureFormat = Literal["jpg", "png"]

_JPEG_QUALITY = 95  # OpenCV's own default; artefacts would hurt small objects first
_ENCODING = {
    "jpg": [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY],
    "png": [cv2.IMWRITE_PNG_COMPRESSION, 3],
}


def encode_picture(image: ImageArray, picture_format: str) -> bytes:
    """Return the file content of a (H, W, 3) BGR or (H, W) grey picture.

    Raises:
        ValueError: the format is neither jpg nor png, or the array is not uint8.
        DatasetError: the picture cannot be encoded, for example because it is empty or too large.
    """
    if picture_format not in _ENCODING:
        raise ValueError(f"picture_format must be jpg or png, got '{picture_format}'")
    if image.dtype != np.uint8:
        raise ValueError(f"a picture must be uint8, got {image.dtype}")
    try:
        done, data = cv2.imencode(f".{picture_format}", image, _ENCODING[picture_format])
    except cv2.error as exc:
        raise DatasetError(f"cannot encode a picture of shape {image.shape} as {picture_format}: {exc}") from exc
    if not done:
        raise DatasetError(f"cannot encode a picture of shape {image.shape} as {picture_format}")
    return bytes(data)


def decode_picture(data: bytes, path: Path, *, grey: bool = False) -> ImageArray:
    """Return the (H, W, 3) BGR picture, or (H, W) brightness when `grey`.

    Raises:
        DatasetError: the bytes are not a whole picture; `path` is named.
    """
    mode = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR
    try:
        image = cv2.imdecode(np.frombuffer(pixel_bytes(data), np.uint8), mode) if data else None
    except (cv2.error, BadPicture):
        image = None
    if image is None:
        raise DatasetError(f"{path} is not a readable picture; restore it, or capture again into another folder")
    return np.asarray(image, np.uint8)


def read_file(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        DatasetError: it is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise DatasetError(f"cannot read {path}: {reason}; restore it, or capture again into another folder") from exc


def read_unchanged(path: Path, sha256: str, *, remedy: str) -> bytes:
    """Return the bytes of a file that was hashed when it was stored.

    Raises:
        DatasetError: it is missing or was changed; the message ends with the remedy.
    """
    data = read_file(path)
    if hash_bytes(data) != sha256:
        raise DatasetError(f"{path} was modified after it was stored; restore it, or {remedy}")
    return data


def decode_sized(data: bytes, path: Path, size_wh: SizeWH) -> ImageArray:
    """Return the (H, W, 3) BGR picture. Raises as `decode_picture`, or if it has another size."""
    image = decode_picture(data, path)
    if (image.shape[1], image.shape[0]) != size_wh:
        raise DatasetError(f"{path} has {image.shape[1]}x{image.shape[0]} pixels, expected {size_wh}")
    return image


def hash_bytes(data: bytes) -> str:
    """Return the SHA-256 as hexadecimal text."""
    return hashlib.sha256(data).hexdigest()


def hash_pixels(image: ImageArray) -> str:
    """Return a hash of shape and pixels, the same however the picture is stored."""
    return hash_bytes(f"{image.shape}".encode() + np.ascontiguousarray(image).tobytes())


@dataclass(frozen=True, eq=False)
class TreatedPicture:
    """A picture after treatment.

    Attributes:
        image_bgr: (H, W, 3).
        hidden_xyxy: (K, 4) rectangles, its pixels, that do not show what was there.
    """

    image_bgr: ImageArray
    hidden_xyxy: FloatArray


class PictureTreatment(Protocol):
    """Hides what must not be seen."""

    def treat(
        self, image_bgr: ImageArray, regions_xyxy: FloatArray | None, background: ImageArray | None
    ) -> TreatedPicture:
        """Return the visible version of a (H, W, 3) picture; the picture is not changed.

        `regions_xyxy` are what moves in it, (R, 4) pixels; None: unknown, which counts as nothing. `background` is the
        (h, w) brightness of the empty scene; None: unknown.
        """
        ...

    def treat_background(self, luma: ImageArray) -> ImageArray:
        """Return the visible version of an empty scene's (h, w) brightness, in the same size."""
        ...
