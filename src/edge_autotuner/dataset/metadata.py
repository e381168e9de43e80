"""Strips metadata from picture files: place, time, device, previews, comments.

A file without such things keeps its bytes. Pixels never change.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge_autotuner.dataset.pictures import decode_picture, encode_picture

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"}
_WEBP_DROPPED = {b"EXIF", b"XMP "}
_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_JFIF_BYTES = 16  # of its segment, where it holds no preview
_NO_LENGTH = {0x01, *range(0xD0, 0xD8)}  # restart markers and TEM stand alone


def without_metadata(data: bytes, path: Path) -> tuple[bytes, str]:
    """Return a picture file without metadata, and its suffix with the dot.

    A JPEG that is shown turned because its metadata say so becomes a PNG of the pixels as shown, and so does any file
    of a format that is not understood here. The path is for errors and the suffix.

    Raises:
        DatasetError: it is not a readable picture.
    """
    try:
        stripped = _stripped(data)
    except (ValueError, IndexError, struct.error):
        stripped = None
    if stripped == data:
        return data, path.suffix.lower()
    shown = decode_picture(data, path)
    if stripped is not None and np.array_equal(decode_picture(stripped, path), shown):
        return stripped, path.suffix.lower()
    return encode_picture(shown, "png"), ".png"


def _stripped(data: bytes) -> bytes | None:
    """Return the file without metadata; None for an unknown format.

    Raises:
        ValueError, IndexError, struct.error: it is damaged.
    """
    if data[:2] == bytes((0xFF, _SOI)):
        return bytes((0xFF, _SOI)) + b"".join(_jpeg_parts(data))
    if data.startswith(_PNG_START):
        return _PNG_START + b"".join(_png_parts(data))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return data if data[:2] == b"BM" else None  # a bitmap has no place for any


def _jpeg_parts(data: bytes) -> Iterator[bytes]:
    """Yield the segments that the pixels need, up to the end of the picture; what follows it is dropped."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError("no marker")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == _EOI:
            yield data[at : at + 2]
            return
        end = at + 2 if marker in _NO_LENGTH else at + 2 + int(struct.unpack_from(">H", data, at + 2)[0])
        if marker == _SOS:
            end = _end_of_scan(data, end)
        if end > len(data):
            raise ValueError("cut off")
        if _is_needed(marker, data[at:end]):
            yield data[at:end]
        at = end


def _end_of_scan(data: bytes, start: int) -> int:
    """Return where the next segment begins behind the coded pixels."""
    at = data.index(b"\xff", start)
    while data[at + 1] == 0x00 or data[at + 1] in _NO_LENGTH:
        at = data.index(b"\xff", at + 2)
    return at


def _is_needed(marker: int, segment: bytes) -> bool:
    if marker == 0xE0:
        return segment[4:9] == b"JFIF\0" and len(segment) - 2 == _JFIF_BYTES
    if marker == 0xEE:
        return segment[4:9] == b"Adobe"  # says how the colours are coded
    return marker != _COM and not 0xE0 <= marker <= 0xEF


def _png_parts(data: bytes) -> Iterator[bytes]:
    at = len(_PNG_START)
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise ValueError("cut off")
        if kind in _PNG_KEPT:
            yield data[at:end]
        at = end


def _webp(data: bytes) -> bytes:
    parts = []
    at = 12
    while at < len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2
        if kind not in _WEBP_DROPPED:
            parts.append(_without_flags(data[at:end]) if kind == b"VP8X" else data[at:end])
        at = end
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _without_flags(chunk: bytes) -> bytes:
    """Return the header of a WebP file without the bits for EXIF and XMP."""
    return chunk[:8] + bytes((chunk[8] & ~0x0C,)) + chunk[9:]
