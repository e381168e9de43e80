"""What decoders see is bounded by the pixels: bytes, unpacked rows, and nothing that makes no pixel."""

from __future__ import annotations

import ast
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.service.hostile_pictures import chunk, png_bomb, png_of, scan_bomb, text_bomb
from edge_autotuner.dataset import picture_bounds
from edge_autotuner.dataset.picture_bounds import (
    MAX_BYTES_PER_PIXEL,
    SPARE_BYTES,
    check_foreign,
    check_length,
    check_work,
    decode_as_stored,
    pixel_bytes,
)
from edge_autotuner.dataset.picture_header import PNG_SIGNATURE, BadPicture, read_header
from edge_autotuner.dataset.pictures import decode_picture
from edge_autotuner.errors import DatasetError
from helpers import REPOSITORY
from support.service.service_samples import encoded, noise


def test_bytes_are_bounded_by_pixels() -> None:
    content = encoded(noise((40, 30)), ".jpg")
    header = read_header(content)
    most = SPARE_BYTES + MAX_BYTES_PER_PIXEL * 40 * 30
    check_length(content + bytes(most - len(content)), header)
    with pytest.raises(BadPicture, match=f"40x30 pixels in {most + 1} bytes, the limit for this size is {most}"):
        check_length(content + bytes(most + 1 - len(content)), header)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("size_wh", [(1, 1), (1, 700), (700, 1), (300, 200)])
def test_noise_of_every_format_passes(suffix: str, size_wh: tuple[int, int]) -> None:
    image = noise(size_wh)
    quality = {".png": (), ".jpg": (cv2.IMWRITE_JPEG_QUALITY, 100), ".webp": (cv2.IMWRITE_WEBP_QUALITY, 101)}[suffix]
    content = encoded(image, suffix, *quality)
    check_work(content, read_header(content))
    decoded = decode_as_stored(content, size_wh)
    assert decoded.shape == image.shape
    assert suffix == ".jpg" or (decoded == image).all()


DEPTHS = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 4), (3, 8), (4, 8), (4, 16), (6, 16)]


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize(("colour", "depth"), DEPTHS)
@pytest.mark.parametrize("size_wh", [(1, 1), (3, 5), (9, 4), (33, 17)])
def test_the_rows_of_every_kind_of_png_are_counted(
    size_wh: tuple[int, int], colour: int, depth: int, interlace: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_bounds, "_SPARE_INFLATED_BYTES", 0)
    palette = chunk(b"PLTE", bytes(3 << depth)) if colour == 3 else b""
    kind = {"before": palette, "depth": depth, "colour": colour, "interlace": interlace}
    empty = png_of(size_wh, b"", **kind)  # type: ignore[arg-type]
    rows = bytes(picture_bounds._png_raw_bytes(empty))
    exact = png_of(size_wh, zlib.compress(rows), **kind)  # type: ignore[arg-type]
    check_work(exact, read_header(exact))
    assert decode_as_stored(exact, size_wh).max() == 0
    more = png_of(size_wh, zlib.compress(rows + b"\0"), **kind)  # type: ignore[arg-type]
    with pytest.raises(BadPicture, match=f"decompresses to more than the {len(rows)} bytes"):
        check_work(more, read_header(more))
    if len(rows) > 1:  # and these are not too many: one less is not the whole picture
        less = png_of(size_wh, zlib.compress(rows[:-1]), **kind)  # type: ignore[arg-type]
        whole = cv2.imdecode(np.frombuffer(exact, np.uint8), cv2.IMREAD_UNCHANGED)
        part = cv2.imdecode(np.frombuffer(less, np.uint8), cv2.IMREAD_UNCHANGED)
        assert whole is not None
        assert part is None or part.shape == whole.shape


@pytest.mark.parametrize("size_wh", [(64, 64), (1000, 1000)])
def test_rows_that_unpack_to_more_than_the_picture_are_refused(size_wh: tuple[int, int]) -> None:
    content = png_bomb(size_wh, 64)
    check_length(content, read_header(content))  # its length says nothing
    for check in (check_foreign, lambda data: check_work(data, read_header(data))):
        with pytest.raises(BadPicture, match="decompresses to more"):
            check(content)


def test_the_rows_are_not_unpacked_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = []
    inflated = picture_bounds._inflated

    def counted(data: bytes) -> Iterator[bytes]:
        for piece in inflated(data):
            unpacked.append(len(piece))
            yield piece

    monkeypatch.setattr(picture_bounds, "_inflated", counted)
    content = png_bomb((64, 64), 256)
    with pytest.raises(BadPicture):
        check_work(content, read_header(content))
    assert sum(unpacked) < 9 << 20


def test_data_behind_the_end_of_the_rows_are_not_looked_at() -> None:
    rows = zlib.compress(bytes(64 * 193))
    content = png_of((64, 64), rows + bytes(1 << 20))
    check_work(content, read_header(content))


def test_compressed_texts_never_reach_a_decoder() -> None:
    content = text_bomb((64, 64), 20)
    stripped = pixel_bytes(content)
    assert b"zTXt" not in stripped
    assert stripped == text_bomb((64, 64), 0)
    assert decode_as_stored(content, (64, 64)).max() == 0


def test_palette_and_transparency_stay() -> None:
    palette = chunk(b"PLTE", bytes([10, 20, 30, 40, 50, 60])) + chunk(b"tRNS", b"\x80")
    content = png_of((8, 1), zlib.compress(b"\0\x0f"), before=palette, depth=1, colour=3)
    assert pixel_bytes(content) == content
    decoded = decode_as_stored(content, (8, 1))
    assert decoded[0, 0].tolist() == [30, 20, 10]
    assert decoded[0, 7].tolist() == [60, 50, 40]


@pytest.mark.parametrize("n_cut", [1, 4, 11, 12, 13, 30])
def test_a_png_that_is_cut_off_is_no_picture_and_no_chunk_says_more_than_there_is(n_cut: int) -> None:
    content = encoded(noise((40, 30)))
    cut = pixel_bytes(content[:-n_cut])
    assert cut == content[: 33 if n_cut > 12 else -12]
    with pytest.raises(BadPicture, match="cannot be decoded"):
        decode_as_stored(content[:-n_cut], (40, 30))
    assert pixel_bytes(PNG_SIGNATURE) == PNG_SIGNATURE


def test_a_chunk_that_says_it_has_gigabytes_never_reaches_a_decoder() -> None:
    content = bytearray(encoded(noise((40, 30))))
    content[33:37] = (0x7FFFFFFF).to_bytes(4, "big")
    assert len(pixel_bytes(bytes(content))) == 33
    with pytest.raises(BadPicture, match="cannot be decoded"):
        decode_as_stored(bytes(content), (40, 30))


def test_other_formats_are_left_alone() -> None:
    for content in (b"", b"BM" + bytes(100), encoded(noise(), ".bmp")):
        check_foreign(content)
        assert pixel_bytes(content) == content


def test_many_scans_of_a_small_picture_are_decoded() -> None:
    content = scan_bomb((160, 160), 100)
    assert decode_as_stored(content, (160, 160)).shape == (160, 160, 3)


def test_every_decoder_call_gets_pixel_bytes_only() -> None:
    """A new place that decodes has to bound the work first: `check_work` or `check_foreign`, and `pixel_bytes`."""
    decoders = {"imread", "imdecode", "imdecodemulti", "imreadmulti", "imcount", "ImageCollection"}
    found = []
    for path in sorted((REPOSITORY / "src").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and node.attr in decoders:
                found.append(path.name)
                line = text.splitlines()[node.lineno - 1]
                assert "pixel_bytes(" in line, f"{path}:{node.lineno}: decode pixel_bytes(...) of what was checked"
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            assert "PIL" not in names, f"{path}: Pillow decodes without a bound"
    assert sorted(found) == ["picture_bounds.py", "picture_folder.py", "pictures.py"]


def test_a_png_of_more_chunks_than_any_encoder_writes_is_refused(tmp_path: Path) -> None:
    content = encoded(noise((40, 30)))
    bomb = content[:33] + chunk(b"IDAT", b"") * (picture_bounds.MAX_PNG_CHUNKS + 1) + content[33:]
    for read in (lambda: check_work(bomb, read_header(bomb)), lambda: decode_as_stored(bomb, (40, 30))):
        with pytest.raises(BadPicture, match="chunks"):
            read()
    with pytest.raises(DatasetError, match="not a readable picture"):
        decode_picture(bomb, tmp_path / "frame.png")
