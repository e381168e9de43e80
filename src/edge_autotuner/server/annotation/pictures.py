"""Pictures as they arrive: checked, named by their hash, and decoded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.core.types import ImageArray
from edge_autotuner.server.annotation.picture_header import PICTURE_TYPES, BadPicture, PictureHeader, read_header
from edge_autotuner.server.problems import Problem

_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION  # boxes are in pixels of the file, whatever EXIF says


@dataclass(frozen=True)
class Upload:
    """A picture as a client sent it.

    Attributes:
        content: the file.
        declared_type: MIME type that the client says it has.
    """

    content: bytes
    declared_type: str


@dataclass(frozen=True)
class CheckedPicture:
    """A picture whose header is known to be fine; it is not decoded yet.

    Attributes:
        content: the file.
        header: its type and size.
        sha256: of the file.
    """

    content: bytes
    header: PictureHeader
    sha256: str


def check_picture(upload: Upload, *, max_pixels: int) -> CheckedPicture:
    """Return a picture of an allowed type and size.

    Raises:
        Problem: 415 for another type, 422 for a damaged header, 413 for too many pixels.
    """
    if upload.declared_type not in PICTURE_TYPES:
        raise Problem(415, "picture-type", f"send a picture as one of {', '.join(PICTURE_TYPES)}")
    try:
        header = read_header(upload.content)
    except BadPicture as exc:
        raise Problem(422, "picture-damaged", f"this is not a usable {upload.declared_type} picture: {exc}") from exc
    if header.type != upload.declared_type:
        raise Problem(415, "picture-type", f"the picture is {header.type} and was sent as {upload.declared_type}")
    if header.n_pixels > max_pixels:
        width, height = header.size_wh
        raise Problem(
            413, "picture-too-large", f"the picture has {width}x{height} pixels, at most {max_pixels} are taken"
        )
    return CheckedPicture(upload.content, header, hashlib.sha256(upload.content).hexdigest())


def decode_picture(picture: CheckedPicture) -> ImageArray:
    """Return the (H, W, 3) uint8 picture, of the size that its header says.

    Raises:
        Problem: 422, it cannot be decoded.
    """
    try:
        image = cv2.imdecode(np.frombuffer(picture.content, np.uint8), _AS_STORED)
    except cv2.error:
        image = None
    if image is None or (image.shape[1], image.shape[0]) != picture.header.size_wh:
        raise Problem(422, "picture-damaged", f"the {picture.header.type} picture cannot be decoded")
    return np.asarray(image, np.uint8)
