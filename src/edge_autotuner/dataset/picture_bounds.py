"""Bounds the work of decoding a picture by its pixels and bytes, before a decoder sees it.

A decoder of PNG inflates whatever the data hold, also beyond the last row, and every compressed text: 14 MB become
14 GB. So a picture may have only so many bytes per pixel, the rows of a PNG are inflated here first, up to the length
that its header says, and the decoder gets the chunks that make pixels and no others.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress

import cv2
import numpy as np

from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.dataset.picture_header import PNG_SIGNATURE, BadPicture, PictureHeader, read_header

MAX_BYTES_PER_PIXEL = 12
"""More than noise takes in any format: 8 for PNG with 16 bits and alpha, about 5 for JPEG and WebP."""

SPARE_BYTES = 1 << 20
"""On top of that, of a whole file: colour profiles, thumbnails, what cameras write about a picture."""

MAX_PNG_CHUNKS = 50_000
"""Encoders write one for some KB of pixels; empty ones would cost a step each."""

_PIECE_BYTES = 8192  # inflated at once: at most 1032 times as much comes out
_SPARE_INFLATED_BYTES = 1 << 16  # some writers pad the last row

_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"}  # eXIf says which side is up
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION  # boxes are in pixels of the file, whatever EXIF says


def check_length(data: bytes, header: PictureHeader) -> None:
    """Refuse a file with more bytes than its pixels can need; takes no time.

    Raises:
        BadPicture: it says how many there may be.
    """
    most = SPARE_BYTES + MAX_BYTES_PER_PIXEL * header.n_pixels
    if len(data) > most:
        width, height = header.size_wh
        raise BadPicture(f"{width}x{height} pixels in {len(data)} bytes, the limit for this size is {most}")


def check_work(data: bytes, header: PictureHeader) -> None:
    """Refuse a picture that would keep its decoder busy for longer than its pixels can need.

    Takes at most the time of inflating the pixels once; only PNG needs it.

    Raises:
        BadPicture: it says why.
    """
    check_length(data, header)
    if header.type != "image/png":
        return
    most, n_inflated = _png_raw_bytes(data) + _SPARE_INFLATED_BYTES, 0
    for piece in _inflated(data):
        n_inflated += len(piece)
        if n_inflated > most:
            raise BadPicture(f"its data decompresses to more than the {most} bytes of its pixels")


def pixel_bytes(data: bytes) -> bytes:
    """Return a picture without what makes no pixel, such as compressed texts; what is no PNG stays as it is.

    Raises:
        BadPicture: it has too many chunks.
    """
    if not data.startswith(PNG_SIGNATURE):
        return data
    chunks = [data[start - 8 : stop + 4] for name, start, stop in _png_chunks(data) if name in _PIXEL_CHUNKS]
    return b"".join([PNG_SIGNATURE, *chunks])


def decode_as_stored(data: bytes, size_wh: SizeWH) -> ImageArray:
    """Return the (H, W, 3) uint8 picture of a file, of the size that its header says; turned as its pixels are stored.

    Raises:
        BadPicture: it cannot be decoded, or would take longer than its pixels can need.
    """
    check_work(data, read_header(data))
    try:
        image = cv2.imdecode(np.frombuffer(pixel_bytes(data), np.uint8), _AS_STORED)
    except cv2.error:
        image = None
    if image is None or (image.shape[1], image.shape[0]) != size_wh:
        raise BadPicture("it cannot be decoded")
    return np.asarray(image, np.uint8)


def check_foreign(data: bytes) -> None:
    """Refuse a file of unknown origin whose decoding would take long; formats that unpack nothing are left alone.

    Raises:
        BadPicture: it says why.
    """
    try:
        header = read_header(data)
    except BadPicture:
        return  # damaged, or of another kind: the decoder says so
    check_work(data, header)


def _inflated(data: bytes) -> Iterator[bytes]:
    """Yield what the data of a PNG unpack to, in pieces, up to where they end or are damaged."""
    inflater = zlib.decompressobj()
    with suppress(zlib.error):  # no decoder gets further
        for name, start, stop in _png_chunks(data):
            for at in range(start, stop if name == b"IDAT" else start, _PIECE_BYTES):
                yield inflater.decompress(data[at : min(at + _PIECE_BYTES, stop)])
                if inflater.eof:
                    return


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of the content of each whole chunk.

    A decoder makes room for what a chunk says that it has: 2 GB for a few bytes that are cut off.

    Raises:
        BadPicture: there are too many.
    """
    at, n_chunks = len(PNG_SIGNATURE), 0
    while at + 12 <= len(data):
        n_chunks += 1
        if n_chunks > MAX_PNG_CHUNKS:
            raise BadPicture(f"a PNG picture of more than {MAX_PNG_CHUNKS} chunks")
        stop = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if stop + 4 > len(data):
            return
        yield data[at + 4 : at + 8], at + 8, stop
        at = stop + 4


def _png_raw_bytes(data: bytes) -> int:
    """Return the length of the rows of a PNG with a checked header, each with the byte of its filter."""
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    depth, colour, _, _, interlace = data[24:29]
    bits = depth * _PNG_CHANNELS[colour]
    passes = _ADAM7 if interlace else ((0, 0, 1, 1),)
    total = 0
    for x, y, step_x, step_y in passes:
        columns, rows = max(0, -(-(width - x) // step_x)), max(0, -(-(height - y) // step_y))
        total += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    return total
