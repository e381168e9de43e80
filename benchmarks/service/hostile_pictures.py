"""Pictures that are small on the wire and endless for a decoder."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(
    size_wh: tuple[int, int], data: bytes, *, before: bytes = b"", depth: int = 8, colour: int = 2, interlace: int = 0
) -> bytes:
    """Return a PNG whose packed rows are these data."""
    header = struct.pack(">IIBBBBB", *size_wh, depth, colour, 0, 0, interlace)
    return SIGNATURE + chunk(b"IHDR", header) + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def packed_zeros(n_megabytes: int) -> bytes:
    """Return so much nothing, packed to a thousandth; made at once, because each MB is the same block again."""
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    first, again = (packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + again * (n_megabytes - 1)


def png_bomb(size_wh: tuple[int, int], n_megabytes: int) -> bytes:
    """Return a PNG that unpacks to so many MB, whatever its size says."""
    return png_of(size_wh, packed_zeros(n_megabytes))


def text_bomb(size_wh: tuple[int, int], n_texts: int) -> bytes:
    """Return a black PNG with texts that unpack to 8 MB each."""
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(7_900_000), 9))
    rows = zlib.compress(bytes(size_wh[1] * (1 + 3 * size_wh[0])), 9)
    return png_of(size_wh, rows, before=text * n_texts)


def scan_bomb(size_wh: tuple[int, int], n_scans: int) -> bytes:
    """Return a progressive JPEG with a scan that is repeated until there are so many."""
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    image[::8] = 200
    content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    last, end = content.rindex(b"\xff\xda"), content.rindex(b"\xff\xd9")
    n_more = n_scans - content.count(b"\xff\xda")
    return content[:end] + content[last:end] * n_more + content[end:]
