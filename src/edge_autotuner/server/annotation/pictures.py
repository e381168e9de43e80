"""Pictures as they arrive: checked, named by their hash, and decoded where that is known to be short."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset.picture_bounds import check_length, decode_as_stored
from edge_autotuner.dataset.picture_header import PICTURE_TYPES, BadPicture, PictureHeader, read_header
from edge_autotuner.server.problems import Problem

ANY_TYPE = "application/octet-stream"
"""What a client may call a picture whose type it does not know: the header of the file says it."""


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
        Problem: 415 for another type, 422 for a damaged header or too many bytes for its pixels, 413 for too
            many pixels.
    """
    if upload.declared_type not in {*PICTURE_TYPES, ANY_TYPE}:
        raise Problem(415, "picture-type", f"send a picture as one of {', '.join(PICTURE_TYPES)}, or as {ANY_TYPE}")
    try:
        header = read_header(upload.content)
    except BadPicture as exc:
        raise damaged(upload.declared_type, str(exc)) from exc
    if upload.declared_type not in {header.type, ANY_TYPE}:
        raise Problem(415, "picture-type", f"the picture is {header.type} and was sent as {upload.declared_type}")
    if header.n_pixels > max_pixels:
        width, height = header.size_wh
        raise Problem(
            413, "picture-too-large", f"the picture has {width}x{height} pixels, at most {max_pixels} are accepted"
        )
    try:
        check_length(upload.content, header)
    except BadPicture as exc:
        raise damaged(upload.declared_type, str(exc)) from exc
    return CheckedPicture(upload.content, header, hashlib.sha256(upload.content).hexdigest())


def decode_picture(picture: CheckedPicture) -> ImageArray:
    """Return the (H, W, 3) uint8 picture, of the size that its header says; in this thread, so for small ones only.

    Raises:
        Problem: 422, it cannot be decoded.
    """
    try:
        return decode_as_stored(picture.content, picture.header.size_wh)
    except BadPicture as exc:
        raise damaged(picture.header.type, str(exc)) from exc


def damaged(kind: str, why: str) -> Problem:
    """Return what a client is told whose picture cannot be used."""
    return Problem(422, "picture-damaged", f"this {kind} picture cannot be used: {why}")
