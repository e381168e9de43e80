"""Which files below a folder count as its pictures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_autotuner.capture.picture_listing import list_pictures
from edge_autotuner.core.file_names import text_of_name
from edge_autotuner.errors import VideoError


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def _names(folder: Path) -> list[str]:
    return [picture.name for picture in list_pictures(folder)]


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    _touch(tmp_path / "day" / "1.jpg", tmp_path / "day" / "deep" / "2.jpg", tmp_path / "p" / "0.jpg")
    (tmp_path / "p" / "day1").symlink_to("../day")
    assert _names(tmp_path / "p") == ["0.jpg", "day1/1.jpg", "day1/deep/2.jpg"]


def test_circles_end_and_no_folder_is_read_twice(tmp_path: Path) -> None:
    _touch(tmp_path / "a" / "1.jpg", tmp_path / "b" / "2.jpg")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "again").symlink_to("b")
    (tmp_path / "self").symlink_to("self")
    assert _names(tmp_path) == ["a/1.jpg", "b/2.jpg"]


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    _touch(tmp_path / "day" / "1.jpg")
    (tmp_path / "link").symlink_to("day")
    assert _names(tmp_path / "link") == ["1.jpg"]


@pytest.mark.parametrize(
    "name", ["caf\udce9.jpg", "a\nb.jpg", "a:b.jpg", "-x.jpg", "%d.jpg", "[a]*?.jpg", "\U0001f600.jpg"]
)
def test_any_name(tmp_path: Path, name: str) -> None:
    _touch(tmp_path / name)
    (picture,) = list_pictures(tmp_path)
    assert (picture.name, picture.path, picture.n_bytes) == (text_of_name(name), tmp_path / name, 1)


def test_what_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _touch(tmp_path / "1.jpg", tmp_path / "2.HEIC", tmp_path / "3.gif", tmp_path / "notes.txt")
    (tmp_path / "4.jpg").symlink_to("nowhere")
    os.mkfifo(tmp_path / "5.jpg")
    assert _names(tmp_path) == ["1.jpg"]
    for words in ("1 heic (convert them", "1 gif", "1 links to nothing", "1 that are no files"):
        assert words in caplog.text


def test_only_pictures_of_another_kind(tmp_path: Path) -> None:
    _touch(tmp_path / "1.heic", tmp_path / "2.heic")
    with pytest.raises(VideoError, match="only 2 heic"):
        list_pictures(tmp_path)
