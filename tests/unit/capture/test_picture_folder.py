"""A folder of pictures as a source."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_autotuner.capture import PictureFolder
from edge_autotuner.capture.picture_listing import name_order
from edge_autotuner.core import CaptureEvent
from edge_autotuner.errors import VideoError


def _save(path: Path, level: int, size_wh: tuple[int, int] = (32, 24)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((size_wh[1], size_wh[0], 3), level, np.uint8))


def test_numeric_order_all_formats_and_subfolders(tmp_path: Path) -> None:
    for level, name in enumerate(["1.png", "2.bmp", "10.webp", "b/3.JPG", "b/20.jpeg"]):
        _save(tmp_path / name, 10 * level)
    frames = list(PictureFolder(tmp_path).frames())
    assert [frame.file_name for frame in frames] == ["1.png", "2.bmp", "10.webp", "b/3.JPG", "b/20.jpeg"]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time_s for frame in frames] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert [int(frame.image_bgr[0, 0, 0]) for frame in frames] == pytest.approx([0, 10, 20, 30, 40], abs=2)


def test_hidden_and_other_files_are_ignored(tmp_path: Path) -> None:
    for name in ["1.png", ".2.png", ".cache/3.png"]:
        _save(tmp_path / name, 0)
    (tmp_path / "readme.txt").write_text("no picture")
    assert [frame.file_name for frame in PictureFolder(tmp_path).frames()] == ["1.png"]


def test_luma_is_brightness(tmp_path: Path) -> None:
    image = np.zeros((24, 32, 3), np.uint8)
    image[..., 1] = 200
    cv2.imwrite(str(tmp_path / "1.png"), image)
    (frame,) = PictureFolder(tmp_path).frames()
    assert set(np.unique(frame.luma)) == {round(200 * 0.587)}


def test_info(tmp_path: Path) -> None:
    for number in range(3):
        _save(tmp_path / "cam" / f"{number}.png", 0)
    info = PictureFolder(tmp_path / "cam").info
    assert (info.kind, info.name, info.size_wh, info.n_frames, info.rate_hz) == ("folder", "cam", (32, 24), 3, 1.0)


def test_hash_depends_on_names_and_sizes(tmp_path: Path) -> None:
    _save(tmp_path / "a" / "1.png", 0)
    _save(tmp_path / "b" / "1.png", 0)
    _save(tmp_path / "c" / "2.png", 0)
    a, b, c = (PictureFolder(tmp_path / name).info.sha256 for name in "abc")
    assert a == b != c


def test_original_path_and_names(tmp_path: Path) -> None:
    for name in ["2.png", "10.png", "x/1.png"]:
        _save(tmp_path / name, 0)
    folder = PictureFolder(tmp_path)
    assert [folder.original_path(frame) for frame in folder.frames()] == [
        tmp_path / "2.png",
        tmp_path / "10.png",
        tmp_path / "x" / "1.png",
    ]
    assert folder.names == ("2.png", "10.png", "x/1.png")


def test_the_size_may_change(tmp_path: Path) -> None:
    events: list[CaptureEvent] = []
    _save(tmp_path / "1.png", 0)
    _save(tmp_path / "2.png", 0, size_wh=(40, 24))
    frames = list(PictureFolder(tmp_path, on_event=events.append).frames())
    assert [frame.size_wh for frame in frames] == [(32, 24), (40, 24)]
    assert [(event.kind, event.detail) for event in events] == [("size changed", "40x24, was 32x24")]


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"], ids=["empty", "garbage", "cut off"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_damaged_picture_is_left_out_and_the_others_keep_their_numbers(
    tmp_path: Path, content: bytes, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    for level in (1, 2, 3):
        _save(tmp_path / f"{level}.png", 10 * level)
    (tmp_path / f"{number}.png").write_bytes(content)
    folder = PictureFolder(tmp_path)
    assert [frame.index for frame in folder.frames()] == [index for index in range(3) if index != number - 1]
    assert folder.damage.n_lost == 1
    assert f"{number}.png: " in caplog.text


def test_a_picture_that_is_deleted_while_the_folder_is_read_is_left_out(tmp_path: Path) -> None:
    for level in (1, 2, 3):
        _save(tmp_path / f"{level}.png", 10 * level)
    frames = PictureFolder(tmp_path).frames()
    next(frames)
    (tmp_path / "2.png").unlink()
    assert [frame.file_name for frame in frames] == ["3.png"]


def test_only_damaged_pictures(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "2.png").write_bytes(b"no")
    with pytest.raises(VideoError, match=r"none of the 2 pictures .*1\.png: the file is empty"):
        PictureFolder(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_thermal_pictures_keep_their_detail(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    for number in range(3):
        deep = rng.integers(30000, 30256, (24, 32)).astype(np.uint16)
        cv2.imwrite(str(tmp_path / f"{number}.{suffix}"), deep)
    folder = PictureFolder(tmp_path)
    for frame in folder.frames():
        assert int(frame.luma.max()) - int(frame.luma.min()) > 100
        assert folder.original_path(frame) is None  # a dataset must store what was seen


def test_deep_colours_keep_the_scale(tmp_path: Path) -> None:
    image = np.zeros((24, 32, 3), np.uint16)
    image[...] = (100 * 257, 7 * 257, 50 * 257)
    cv2.imwrite(str(tmp_path / "1.png"), image)
    (frame,) = PictureFolder(tmp_path).frames()
    assert frame.image_bgr[0, 0].tolist() == [100, 7, 50]


def test_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="holds no pictures"):
        PictureFolder(tmp_path)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="is not a folder"):
        PictureFolder(tmp_path / "no")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], []),
        (["10", "9", "1"], ["1", "9", "10"]),
        (["b2", "B10", "a3"], ["a3", "b2", "B10"]),
        (["cam2_10", "cam2_9", "cam1_99"], ["cam1_99", "cam2_9", "cam2_10"]),
        (["01", "1", "001"], ["001", "01", "1"]),
    ],
    ids=["empty", "numbers", "letter case", "two numbers", "leading zeros"],
)
def test_name_order(names: list[str], expected: list[str]) -> None:
    assert sorted(names, key=name_order) == expected
