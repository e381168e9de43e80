"""Files lose what is not the picture, and no pixel changes."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset.metadata import without_metadata
from edge_autotuner.dataset.pictures import decode_picture
from edge_autotuner.errors import DatasetError

SECRET = b"59.3293N 18.0686E"
_TAGS = struct.pack(">2sHIH", b"MM", 42, 8, 1)


def picture() -> ImageArray:
    ramp = np.linspace(0, 255, 40 * 24 * 3).reshape(24, 40, 3)
    return np.asarray(ramp, np.uint8)


def encoded(suffix: str, *options: int) -> bytes:
    return bytes(cv2.imencode(suffix, picture(), list(options))[1])


def exif(orientation: int = 1) -> bytes:
    """Return a JPEG segment: the picture's orientation, and a text behind it."""
    tag = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    body = b"Exif\0\0" + _TAGS + tag + struct.pack(">I", 0) + SECRET
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def with_chunk(png: bytes, kind: bytes) -> bytes:
    chunk = kind + b"Comment\0" + SECRET
    return png[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]


def with_riff_chunks(webp: bytes) -> bytes:
    """Return an extended WebP file with EXIF and XMP behind the picture."""
    header = b"VP8X" + struct.pack("<I", 10) + bytes((0x0C, 0, 0, 0)) + (39).to_bytes(3, "little")
    header += (23).to_bytes(3, "little")
    extra = b"".join(kind + struct.pack("<I", len(SECRET)) + SECRET + b"\0" for kind in (b"EXIF", b"XMP "))
    body = b"WEBP" + header + webp[12:] + extra
    return b"RIFF" + struct.pack("<I", len(body)) + body


COMMENT = b"\xff\xfe" + struct.pack(">H", len(SECRET) + 2) + SECRET
PREVIEW = b"\xff\xe2" + struct.pack(">H", len(SECRET) + 6) + b"MPF\0" + SECRET
CASES = {
    "jpeg exif": (".jpg", lambda: with_segments(encoded(".jpg"), exif())),
    "jpeg comment and preview": (".jpg", lambda: with_segments(encoded(".jpg"), COMMENT, PREVIEW)),
    "jpeg followed by another": (".jpg", lambda: encoded(".jpg") + SECRET + encoded(".jpg")),
    "progressive jpeg": (".jpeg", lambda: with_segments(encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1), exif())),
    "restarts": (".jpg", lambda: with_segments(encoded(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 1), exif())),
    "png text": (".png", lambda: with_chunk(encoded(".png"), b"tEXt")),
    "png exif": (".png", lambda: with_chunk(encoded(".png"), b"eXIf")),
    "webp": (".webp", lambda: with_riff_chunks(encoded(".webp"))),
}


@pytest.mark.parametrize("name", CASES)
def test_metadata_go_and_pixels_stay(name: str) -> None:
    suffix, make = CASES[name]
    data = make()
    assert SECRET in data
    path = Path(f"picture{suffix}")
    stripped, new_suffix = without_metadata(data, path)
    assert new_suffix == suffix
    assert SECRET not in stripped
    assert (decode_picture(stripped, path) == decode_picture(data, path)).all()
    assert without_metadata(stripped, path) == (stripped, suffix), "a second time changes nothing"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
def test_a_file_without_metadata_keeps_its_bytes(suffix: str) -> None:
    data = encoded(suffix)
    assert without_metadata(data, Path(f"picture{suffix.upper()}")) == (data, suffix)


def test_a_turned_picture_stays_turned() -> None:
    data = with_segments(encoded(".jpg"), exif(orientation=6))
    shown = decode_picture(data, Path("a.jpg"))
    assert shown.shape == (40, 24, 3)
    stripped, suffix = without_metadata(data, Path("a.jpg"))
    assert (suffix, SECRET in stripped) == (".png", False)
    assert (decode_picture(stripped, Path("a.png")) == shown).all()


@pytest.mark.parametrize("cut", [3, 30, 200])
def test_a_cut_file_is_refused(cut: int) -> None:
    with pytest.raises(DatasetError, match="not a readable picture"):
        without_metadata(with_segments(encoded(".jpg"), exif())[:-cut], Path("a.jpg"))


def test_no_picture_is_refused() -> None:
    with pytest.raises(DatasetError, match="not a readable picture"):
        without_metadata(b"GIF89a" + SECRET, Path("a.jpg"))
