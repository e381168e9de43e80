"""Reads type and size of a picture from its first bytes, before anything is decoded.

The readers are strict: what they accept has one meaning only, so that the decoder cannot see another size. Their time
is linear in the number of bytes, whatever these are. Pillow 13's `Image.open` promises neither: it spends 1.5 s and
74 MB on 8 MB of empty JPEG segments (14 ms here), takes the last of two sizes, and starts the decoder of a WebP.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Literal

PictureType = Literal["image/jpeg", "image/png", "image/webp"]
PICTURE_TYPES: tuple[PictureType, ...] = ("image/jpeg", "image/png", "image/webp")

MAX_JPEG_SCANS = 100
"""Progressive pictures have about ten; a few bytes for each of many thousands would keep a decoder busy for hours."""

MAX_CHUNKS = 10_000
"""Segments or chunks before the picture itself; cameras write some dozens."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}  # by colour type
_PNG_MAX_SIDE = (1 << 31) - 1

_JPEG_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive: what the decoder knows
_JPEG_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_JPEG_START_OF_SCAN, _JPEG_END = 0xDA, 0xD9

_FILL = re.compile(rb"\xff*")

_WEBP_ANIMATION = 0x02


class BadPicture(ValueError):
    """Bytes that are not a picture of a known type, or one that is damaged before its size."""


@dataclass(frozen=True)
class PictureHeader:
    """What the first bytes say.

    Attributes:
        type: MIME type.
        size_wh: pixels.
    """

    type: PictureType
    size_wh: tuple[int, int]

    @property
    def n_pixels(self) -> int:
        """Width times height."""
        return self.size_wh[0] * self.size_wh[1]


def read_header(data: bytes) -> PictureHeader:
    """Return type and size of a whole JPEG, PNG or WebP file.

    Raises:
        BadPicture: it is none of these, is damaged, or is animated.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return PictureHeader("image/jpeg", _jpeg_size(data))
    if data.startswith(PNG_SIGNATURE):
        return PictureHeader("image/png", _png_size(data))
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return PictureHeader("image/webp", _webp_size(data))
    raise BadPicture("not a JPEG, PNG or WebP picture")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk over the segments up to the first scan; exactly one of them says the size."""
    if data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise BadPicture(f"a JPEG picture of more than {MAX_JPEG_SCANS} scans")
    at, size_wh = 2, None
    for _ in range(MAX_CHUNKS):
        marker, start, end = _jpeg_segment(data, at)
        if marker == _JPEG_START_OF_SCAN:
            if size_wh is None:
                raise BadPicture("a JPEG picture whose first scan comes before its size")
            return size_wh
        if marker in _JPEG_OTHER_FRAMES:
            raise BadPicture("an unsupported kind of JPEG: lossless, hierarchical or arithmetic")
        if marker in _JPEG_FRAMES:
            if size_wh is not None:
                raise BadPicture("a JPEG picture with two sizes")
            size_wh = _jpeg_frame_size(data[start:end])
        at = end
    raise BadPicture(f"a JPEG picture with more than {MAX_CHUNKS} segments before its first scan")


def _jpeg_segment(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the marker of the segment at a position, and start and end of its content."""
    if data[at : at + 1] != b"\xff":
        raise BadPicture("a JPEG picture with something between its segments, or cut off")
    filled = _FILL.match(data, at)  # a marker may be filled up with any number of these
    at = filled.end() if filled is not None else at
    length = int.from_bytes(data[at + 1 : at + 3], "big")
    end = at + 1 + length
    if at + 3 > len(data) or length < 2 or end > len(data):
        raise BadPicture("a JPEG picture that is cut off")
    marker = data[at]
    if marker < 0xC0 or 0xD0 <= marker <= _JPEG_END:
        raise BadPicture("a JPEG picture with a marker that does not belong before its first scan")
    return marker, at + 3, end


def _jpeg_frame_size(content: bytes) -> tuple[int, int]:
    if len(content) < 6 or len(content) != 6 + 3 * content[5]:
        raise BadPicture("a JPEG picture with a damaged frame header")
    height, width = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
    if width == 0 or height == 0:
        raise BadPicture("a JPEG picture that does not say its size")
    return width, height


def _png_size(data: bytes) -> tuple[int, int]:
    if len(data) < 33 or data[8:16] != b"\x00\x00\x00\rIHDR":
        raise BadPicture("a PNG picture that does not begin with its size, or is cut off")
    if zlib.crc32(data[12:29]) != int.from_bytes(data[29:33], "big"):
        raise BadPicture("a PNG picture with a damaged header")
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    depth, colour, compression, filtering, interlace = data[24:29]
    is_known = depth in _PNG_DEPTHS.get(colour, ()) and compression == filtering == 0 and interlace in (0, 1)
    if not is_known or not (1 <= width <= _PNG_MAX_SIDE and 1 <= height <= _PNG_MAX_SIDE):
        raise BadPicture("a PNG picture with an impossible header")
    if b"acTL" in data.partition(b"IDAT")[0]:
        raise BadPicture("an animated PNG picture")
    return width, height


def _webp_size(data: bytes) -> tuple[int, int]:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise BadPicture("a WebP picture that is cut off")
    kind, start, stop = _webp_chunk(data, 12, end)
    if kind != b"VP8X":
        return _webp_image_size(kind, data[start:stop])
    if stop - start != 10:
        raise BadPicture("a WebP picture with a damaged header")
    if data[start] & _WEBP_ANIMATION:
        raise BadPicture("an animated WebP picture")
    canvas = (
        1 + int.from_bytes(data[start + 4 : start + 7], "little"),
        1 + int.from_bytes(data[start + 7 : stop], "little"),
    )
    for _ in range(MAX_CHUNKS):
        if kind in (b"VP8 ", b"VP8L"):
            break
        kind, start, stop = _webp_chunk(data, stop + (stop - start) % 2, end)
    if _webp_image_size(kind, data[start:stop]) != canvas:
        raise BadPicture("a WebP picture with two sizes")
    return canvas


def _webp_chunk(data: bytes, at: int, end: int) -> tuple[bytes, int, int]:
    """Return name, start and end of the chunk at a position."""
    start = at + 8
    stop = start + int.from_bytes(data[at + 4 : start], "little")
    if start > end or stop > end:
        raise BadPicture("a WebP picture without an image, or cut off")
    return data[at : at + 4], start, stop


def _webp_image_size(kind: bytes, content: bytes) -> tuple[int, int]:
    if kind == b"VP8 " and len(content) >= 10 and content[0] & 1 == 0 and content[3:6] == b"\x9d\x01\x2a":
        width = int.from_bytes(content[6:8], "little") & 0x3FFF
        height = int.from_bytes(content[8:10], "little") & 0x3FFF
        if width and height:
            return width, height
    if kind == b"VP8L" and len(content) >= 5 and content[0] == 0x2F:
        bits = int.from_bytes(content[1:5], "little")
        if bits >> 29 == 0:  # the version
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise BadPicture("a WebP picture with a damaged image header")
