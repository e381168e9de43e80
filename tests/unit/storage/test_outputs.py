"""An output never destroys what is read, under whatever name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

import pytest

from edge_autotuner.errors import ConfigError, StorageError
from edge_autotuner.storage.outputs import (
    check_output_file,
    check_output_folder,
    check_outputs_differ,
    open_output,
    write_output,
)
from edge_autotuner.storage.own_folders import MARK_NAME, mark_if_empty


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a source, pictures, a bundle and a run; it is the working directory."""
    (tmp_path / "clip.mp4").write_bytes(b"video")
    (tmp_path / "pictures" / "deep").mkdir(parents=True)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.json").write_text("{}")
    (tmp_path / "run" / "dataset").mkdir(parents=True)
    for name in ("settings.yaml", "state.json", "report.html"):
        (tmp_path / "run" / name).write_text("x")
    os.link(tmp_path / "clip.mp4", tmp_path / "hard.mp4")
    (tmp_path / "soft.mp4").symlink_to("clip.mp4")
    (tmp_path / "dangling").symlink_to("not-there.json")
    (tmp_path / "linked").symlink_to("pictures", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["clip.mp4", "./clip.mp4", "pictures/../clip.mp4", "hard.mp4", "soft.mp4"])
def test_the_source_itself(place: Path, name: str) -> None:
    for path in (Path(name), place / name):
        with pytest.raises(ConfigError, match="is the source itself"):
            check_output_file(path, option="--output", reads={"the source": "clip.mp4"}, overwrite=True)


def test_the_source_by_its_open_file(place: Path) -> None:
    with (place / "clip.mp4").open("rb") as file:
        path = Path(f"/proc/self/fd/{file.fileno()}")
        with pytest.raises(ConfigError, match="is the source itself"):
            check_output_file(path, option="--output", reads={"the source": "clip.mp4"}, overwrite=True)


def test_a_source_that_is_not_there_yet(place: Path) -> None:
    with pytest.raises(ConfigError, match="is the source itself"):
        check_output_file(Path("dangling"), option="--output", reads={"the source": "not-there.json"})


@pytest.mark.parametrize("name", ["pictures/out.json", "pictures/deep/out.json", "linked/new/out.json"])
def test_inside_a_folder_that_is_read(place: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is inside the source pictures"):
        check_output_file(Path(name), option="--output", reads={"the source": Path("pictures")}, overwrite=True)
    with pytest.raises(ConfigError, match="is inside the source"):
        check_output_folder(Path(name), option="--output", reads={"the source": Path("pictures")})


@pytest.mark.parametrize("name", ["bundle/bundle.json", "bundle/new.json", "bundle/deep/new.json"])
def test_inside_a_bundle(place: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is inside the bundle"):
        check_output_file(Path(name), option="--output", reads={}, overwrite=True)


@pytest.mark.parametrize("name", ["run/settings.yaml", "run/report.html", "run/dataset/annotations.coco.json"])
def test_a_part_of_a_run(place: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is part of the run"):
        check_output_file(Path(name), option="--output", reads={}, overwrite=True)
    check_output_file(Path("run/results.json"), option="--output", reads={})


def test_a_file_that_is_there(place: Path) -> None:
    with pytest.raises(ConfigError, match="already exists; choose another name, or add --overwrite"):
        check_output_file(Path("clip.mp4"), option="--video", reads={})
    check_output_file(Path("clip.mp4"), option="--video", reads={}, overwrite=True)
    check_output_file(Path("clip.mp4"), option="--video", reads={}, is_own=lambda path: path.read_bytes() == b"video")
    Path("empty").touch()
    check_output_file(Path("empty"), option="--video", reads={})
    check_output_file(Path("new"), option="--video", reads={"the source": "rtsp://camera/new"})


def test_what_is_no_file(place: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        check_output_file(Path("pictures"), option="--output", reads={}, overwrite=True)
    with pytest.raises(ConfigError, match="is a file"):
        check_output_folder(Path("clip.mp4"), option="--output", reads={})
    check_output_file(Path("/dev/null"), option="--output", reads={})


def test_a_folder_around_what_is_read(place: Path) -> None:
    truth = Path("run/dataset/truth.json")
    with pytest.raises(ConfigError, match="writes its own dataset; move it"):
        check_output_folder(Path("run"), option="--output", reads={"the ground truth": truth})
    check_output_folder(Path("."), option="--output", reads={"the source": "clip.mp4"})
    with pytest.raises(ConfigError, match="is the source itself"):
        check_output_folder(Path("pictures"), option="--output", reads={"the source": "linked"})


def test_two_outputs_on_one_file(place: Path) -> None:
    with pytest.raises(ConfigError, match="are the same file"):
        check_outputs_differ({"VIDEO": Path("a.mp4"), "--pictures": None, "--ground-truth": Path("./x/../a.mp4")})
    check_outputs_differ({"VIDEO": Path("a.mp4"), "--ground-truth": Path("b.json")})


def test_writing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_output(Path("-"), "records")
    assert capsys.readouterr().out == "records"
    write_output(Path("/dev/null"), "records")
    assert Path("/dev/null").is_char_device()
    write_output(Path("dangling"), "records")
    assert (place / "not-there.json").read_text() == "records"
    assert (place / "dangling").is_symlink()


@pytest.mark.parametrize("name", ["bundle", "bundle/new", "run/dataset", "run/dataset/frames", "run/bundles/other"])
def test_no_folder_of_a_bundle_or_a_run_is_filled(place: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"bundle|part of the run"):
        check_output_folder(Path(name), option="--output", reads={})


def test_the_folder_of_a_run_may_be_continued(place: Path) -> None:
    check_output_folder(Path("run"), option="--output", reads={"the source": "clip.mp4"})


def test_pictures_come_into_a_folder_of_their_own(place: Path) -> None:
    (place / "pictures" / "deep" / "0.jpg").write_bytes(b"theirs")
    with pytest.raises(ConfigError, match=r"is not empty, it contains e.g. 0\.jpg"):
        check_output_folder(Path("pictures/deep"), option="--pictures", reads={}, own={MARK_NAME})
    (place / "new").mkdir()
    (place / "new" / ".hidden").write_bytes(b"")
    check_output_folder(place / "new", option="--pictures", reads={}, own={MARK_NAME})
    mark_if_empty(place / "new")
    (place / "new" / "frame_00000001.jpg").write_bytes(b"ours")
    check_output_folder(place / "new", option="--pictures", reads={}, own={MARK_NAME})
    check_output_folder(place / "not there yet", option="--pictures", reads={}, own={MARK_NAME})


def test_a_path_that_holds_the_mark_of_an_address_is_a_path(place: Path) -> None:
    (place / "x:").mkdir()
    (place / "x:" / "a.mp4").write_bytes(b"video")
    with pytest.raises(ConfigError, match="is the source itself"):
        check_output_file(Path("x:/a.mp4"), option="--output", reads={"the source": "./x://a.mp4"}, overwrite=True)
    check_output_file(Path("new.json"), option="--output", reads={"the source": "rtsp://camera/a"})


def _write_half_and_fail(file: TextIO) -> None:
    file.write("a half")
    raise RuntimeError


def test_a_text_of_pieces_appears_when_it_is_complete(place: Path) -> None:
    path = place / ("n" * 250)
    with pytest.raises(RuntimeError), open_output(path) as file:
        _write_half_and_fail(file)
    before = {one.name for one in place.iterdir()}
    assert path.name not in before
    with open_output(path) as file:
        file.write("all ")
        file.write("of it")
    assert path.read_text() == "all of it"
    assert {one.name for one in place.iterdir()} == before | {path.name}
    with pytest.raises(StorageError, match="create the folder"), open_output(place / "nowhere" / "a.json"):
        pass
