"""Type and size before decoding: what OpenCV writes is read, what is damaged is refused, and nothing takes long."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_autotuner.dataset.picture_header import MAX_CHUNKS, MAX_JPEG_SCANS, BadPicture, read_header
from support.service.service_samples import MIME, encoded, noise

PROGRESSIVE = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
LOSSLESS = (cv2.IMWRITE_WEBP_QUALITY, 101)
SIZES = st.tuples(st.integers(1, 300), st.integers(1, 300))
KINDS = st.sampled_from([(".jpg", ()), (".jpg", PROGRESSIVE), (".png", ()), (".webp", (80,)), (".webp", LOSSLESS)])


def file_of(size_wh: tuple[int, int], suffix: str, options: tuple[int, ...]) -> bytes:
    options = (cv2.IMWRITE_WEBP_QUALITY, *options) if len(options) == 1 else options
    return encoded(noise(size_wh), suffix, *options)


@settings(max_examples=60)
@given(size_wh=SIZES, kind=KINDS)
def test_what_opencv_writes_has_its_size(size_wh: tuple[int, int], kind: tuple[str, tuple[int, ...]]) -> None:
    header = read_header(file_of(size_wh, *kind))
    assert (header.type, header.size_wh) == (MIME[kind[0]], size_wh)
    assert header.n_pixels == size_wh[0] * size_wh[1]


@pytest.mark.parametrize("channels", [1, 4], ids=["grey", "alpha"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_other_channels_have_a_size_too(suffix: str, channels: int) -> None:
    content = encoded(np.full((21, 33, channels), 100, np.uint8), suffix)
    assert read_header(content).size_wh == (33, 21)


def test_a_webp_with_alpha_has_the_long_header() -> None:
    image = np.dstack([noise((33, 21)), np.arange(33 * 21, dtype=np.uint8).reshape(21, 33, 1)])
    content = encoded(image, ".webp", cv2.IMWRITE_WEBP_QUALITY, 50)
    assert content[12:16] == b"VP8X"
    assert read_header(content).size_wh == (33, 21)
    other_canvas = content[:24] + b"\xff\x00\x00" + content[27:]
    with pytest.raises(BadPicture, match="two sizes"):
        read_header(other_canvas)


@settings(max_examples=150)
@given(data=st.data(), kind=KINDS)
def test_a_damaged_picture_is_refused_or_what_opencv_decodes_has_the_size(
    data: st.DataObject, kind: tuple[str, tuple[int, ...]]
) -> None:
    content = bytearray(file_of((37, 23), *kind))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content), 700) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    try:
        header = read_header(bytes(content))
    except BadPicture:
        return
    if header.n_pixels <= 1_000_000:
        decoded = cv2.imdecode(
            np.frombuffer(bytes(content), np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
        assert decoded is None or (decoded.shape[1], decoded.shape[0]) == header.size_wh


MAGIC = st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", b"RIFF\xff\x00\x00\x00WEBPVP8X"])


@settings(max_examples=300)
@given(start=MAGIC, rest=st.binary(max_size=300))
def test_garbage_is_refused_or_has_a_size(start: bytes, rest: bytes) -> None:
    try:
        header = read_header(start + rest)
    except BadPicture:
        return
    assert min(header.size_wh) >= 1


def jpeg_segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def frame(width: int, height: int, marker: int = 0xC0) -> bytes:
    return jpeg_segment(marker, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")


START, SCAN = b"\xff\xd8", jpeg_segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(START + SCAN, "before its size", id="no frame"),
        pytest.param(START + frame(9, 0) + SCAN, "does not say its size", id="height comes later"),
        pytest.param(START + frame(0, 9) + SCAN, "does not say its size", id="no width"),
        pytest.param(START + frame(9, 9) + frame(9000, 9000) + SCAN, "two sizes", id="two frames"),
        pytest.param(START + frame(9, 9, 0xC3) + SCAN, "unsupported kind", id="lossless"),
        pytest.param(START + frame(9, 9, 0xC9) + SCAN, "unsupported kind", id="arithmetic"),
        pytest.param(START + jpeg_segment(0xE0, b"x") + b"junk" + frame(9, 9) + SCAN, "between", id="junk"),
        pytest.param(START + frame(9, 9), "cut off", id="ends after the frame"),
        pytest.param(START + frame(9, 9) + b"\xff" * 1000, "cut off", id="fill bytes only"),
        pytest.param(START + b"\xff\xe0\x00\x01", "cut off", id="length below two"),
        pytest.param(START + b"\xff\xd9\x00\x02", "does not belong", id="ends before it begins"),
        pytest.param(START + jpeg_segment(0xC0, b"\x08\x00\x09\x00\x09\x03"), "damaged frame", id="short frame"),
        pytest.param(START + frame(9, 9) + SCAN * (MAX_JPEG_SCANS + 1), "scans", id="a scan bomb"),
    ],
)
def test_a_jpeg_with_no_clear_size_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(BadPicture, match=reason):
        read_header(content)


def test_fill_bytes_before_a_marker_are_allowed() -> None:
    assert read_header(START + b"\xff\xff\xff" + frame(9, 7) + SCAN).size_wh == (9, 7)


def png_header(width: int, height: int, rest: bytes = b"\x08\x02\x00\x00\x00") -> bytes:
    content = b"IHDR" + struct.pack(">II", width, height) + rest
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + content + struct.pack(">I", zlib.crc32(content))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(png_header(0, 5), id="no width"),
        pytest.param(png_header(5, 1 << 31), id="too high"),
        pytest.param(png_header(5, 5, b"\x07\x02\x00\x00\x00"), id="depth"),
        pytest.param(png_header(5, 5, b"\x08\x05\x00\x00\x00"), id="colour type"),
        pytest.param(png_header(5, 5, b"\x08\x02\x01\x00\x00"), id="compression"),
        pytest.param(png_header(5, 5, b"\x08\x02\x00\x00\x02"), id="interlace"),
        pytest.param(png_header(5, 5)[:-1] + b"?", id="checksum"),
        pytest.param(png_header(5, 5)[:-1], id="cut off"),
        pytest.param(png_header(5, 5) + b"\x00\x00\x00\x08acTL" + bytes(12) + b"\x00\x00\x00\x01IDAT", id="animated"),
        pytest.param(png_header(5, 5) + b"\x00\x00\x00\x08acTL" + bytes(12), id="animated, no data"),
    ],
)
def test_an_impossible_png_is_refused(content: bytes) -> None:
    with pytest.raises(BadPicture):
        read_header(content)


def test_a_huge_png_is_known_to_be_huge_from_its_first_bytes() -> None:
    assert read_header(png_header(100_000, 100_000)).n_pixels == 10**10


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(n + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2) for n, c in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def canvas(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    return b"VP8X", bytes([flags, 0, 0, 0]) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]


def lossless(width: int, height: int, version: int = 0) -> tuple[bytes, bytes]:
    return b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14 | version << 29)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(riff(canvas(9, 9, 2), lossless(9, 9)), "animated", id="animated"),
        pytest.param(riff(canvas(9, 9), lossless(9000, 9000)), "two sizes", id="canvas and image differ"),
        pytest.param(riff(canvas(9, 9), (b"EXIF", b"abc")), "without an image", id="no image"),
        pytest.param(riff(lossless(9, 9, version=1)), "damaged image", id="version"),
        pytest.param(riff((b"VP8 ", b"\x01\x00\x00\x9d\x01\x2a\x09\x00\x09\x00")), "damaged image", id="no key frame"),
        pytest.param(riff((b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a\x00\x00\x09\x00")), "damaged image", id="no width"),
        pytest.param(riff((b"ICCP", b"")), "damaged image", id="another chunk first"),
        pytest.param(riff(lossless(9, 9))[:-1], "cut off", id="cut off"),
        pytest.param(riff((b"VP8X", b"short")), "damaged header", id="short canvas"),
    ],
)
def test_a_webp_with_no_clear_size_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(BadPicture, match=reason):
        read_header(content)


def test_chunks_before_the_image_are_skipped() -> None:
    assert read_header(riff(canvas(9, 7), (b"ICCP", b"odd"), lossless(9, 7))).size_wh == (9, 7)


def test_many_tiny_segments_are_read_in_one_pass() -> None:
    """A parser that copies or searches what is left for each of them would take long; more are refused."""
    content = START + jpeg_segment(0xE1, b"") * (MAX_CHUNKS - 2) + frame(9, 7) + SCAN
    assert read_header(content).size_wh == (9, 7)


@pytest.mark.parametrize(
    ("before", "piece", "message"),
    [
        pytest.param(b"\xff\xd8", b"\xff\xfe\x00\x02", "segments before its first scan", id="JPEG comments"),
        pytest.param(
            b"WEBPVP8X\x0a\x00\x00\x00" + bytes(10), b"ABCD\x00\x00\x00\x00", "image header", id="WebP chunks"
        ),
    ],
)
def test_no_more_pieces_are_walked_over_than_any_picture_has(before: bytes, piece: bytes, message: str) -> None:
    content = before + piece * (2 * MAX_CHUNKS)
    if not content.startswith(b"\xff"):
        content = b"RIFF" + struct.pack("<I", len(content)) + content
    with pytest.raises(BadPicture, match=message):
        read_header(content)


def test_a_marker_may_be_filled_up() -> None:
    content = encoded(noise((33, 21)), ".jpg")
    assert read_header(content[:2] + b"\xff" * 100_000 + content[2:]).size_wh == (33, 21)
