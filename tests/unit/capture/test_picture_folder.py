"""A folder of pictures as a source."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_autotuner.capture import PictureFolder
from edge_autotuner.capture.picture_folder import name_order
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


def test_original_path_and_indices(tmp_path: Path) -> None:
    for name in ["2.png", "10.png", "x/1.png"]:
        _save(tmp_path / name, 0)
    folder = PictureFolder(tmp_path)
    assert [folder.original_path(frame) for frame in folder.frames()] == [
        tmp_path / "2.png",
        tmp_path / "10.png",
        tmp_path / "x" / "1.png",
    ]
    assert folder.indices_of(["x/1.png", "2.png", "unknown.png"]) == [0, 2]


def test_other_size_names_picture_and_sizes_after_the_good_ones(tmp_path: Path) -> None:
    _save(tmp_path / "1.png", 0)
    _save(tmp_path / "2.png", 0)
    _save(tmp_path / "3.png", 0, size_wh=(40, 24))
    frames = PictureFolder(tmp_path).frames()
    assert [next(frames).index, next(frames).index] == [0, 1]
    with pytest.raises(VideoError, match=r"3\.png is 40x24, the pictures before are 32x24"):
        next(frames)


@pytest.mark.parametrize("content", [b"", b"not a picture"], ids=["empty", "garbage"])
def test_undecodable_picture(tmp_path: Path, content: bytes) -> None:
    _save(tmp_path / "1.png", 0)
    (tmp_path / "2.png").write_bytes(content)
    frames = PictureFolder(tmp_path).frames()
    next(frames)
    with pytest.raises(VideoError, match=r"2\.png cannot be decoded"):
        next(frames)


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
