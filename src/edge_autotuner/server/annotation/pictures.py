"""Uploaded pictures: checked, named by their hash, and decoded if small."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset.picture_bounds import check_length, decode_as_stored
from edge_autotuner.dataset.picture_header import PICTURE_TYPES, BadPicture, PictureHeader, read_header
from edge_autotuner.server.problems import Problem

ANY_TYPE = "application/octet-stream"
"""MIME type for a picture of unknown type, which the header of the file tells."""


@dataclass(frozen=True)
class Upload:
    """An uploaded file, with the MIME type that the client declares."""

    content: bytes
    declared_type: str


@dataclass(frozen=True)
class CheckedPicture:
    """A picture with a valid header that is not decoded yet."""

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
        raise Problem(415, "picture-type", f"the picture is {header.type} but was sent as {upload.declared_type}")
    if header.n_pixels > max_pixels:
        width, height = header.size_wh
        raise Problem(413, "picture-too-large", f"the picture has {width}x{height} pixels, the limit is {max_pixels}")
    try:
        check_length(upload.content, header)
    except BadPicture as exc:
        raise damaged(upload.declared_type, str(exc)) from exc
    return CheckedPicture(upload.content, header, hashlib.sha256(upload.content).hexdigest())


def decode_picture(picture: CheckedPicture) -> ImageArray:
    """Decode a small picture in this thread to (H, W, 3) uint8; raises `Problem` 422."""
    try:
        return decode_as_stored(picture.content, picture.header.size_wh)
    except BadPicture as exc:
        raise damaged(picture.header.type, str(exc)) from exc


def damaged(kind: str, why: str) -> Problem:
    """Return the refusal of a picture."""
    return Problem(422, "picture-damaged", f"this {kind} picture cannot be used: {why}")
