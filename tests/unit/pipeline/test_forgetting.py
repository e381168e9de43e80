"""The pictures of a run go, everything else stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge_autotuner.errors import DatasetError
from edge_autotuner.pipeline.forgetting import forget_pictures
from edge_autotuner.pipeline.run_folder import RunFolder, StageRecord
from edge_autotuner.storage.lock import FolderLock
from support.runs.cli_runs import run_script
from support.service.recording_proxy import pictures_in

PAGE = '<p>AP .5</p><svg><image href="data:image/webp;base64,UklGRg=="/><use href="#a"/></svg><img src="data:,x">'


def run_folder(path: Path) -> RunFolder:
    folder = RunFolder(path)
    for name in (
        "dataset/frames",
        "dataset-until-20260101T000000/frames",
        "outgoing/abc/frames",
        "training/abc",
        "incoming",
    ):
        (path / name).mkdir(parents=True)
        (path / name / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\nIEND....")
    (path / "bundles/start").mkdir(parents=True)
    (path / "bundles/start/model.onnx").write_bytes(b"model")
    (path / "evaluation.json").write_text("{}")
    folder.report.write_text(PAGE)
    folder.finish("capture", StageRecord("f", 1.0, "2026-01-01T00:00:00+00:00"))
    return folder


def test_pictures_go_and_the_rest_stays(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    gone = forget_pictures(folder)
    names = {path.name for path in gone}
    assert names == {"dataset", "dataset-until-20260101T000000", "outgoing", "training", "incoming", "report.html"}
    left = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}
    assert left == {"bundles/start/model.onnx", "evaluation.json", "report.html", "state.json"}
    assert folder.report.read_text() == PAGE.replace("data:image/webp;base64,UklGRg==", "data:,")
    assert forget_pictures(folder) == [], "again changes nothing"


@pytest.mark.parametrize("name", ["dataset", "training"])
def test_a_run_that_is_worked_on_keeps_everything(name: str, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    lock = FolderLock(folder.path / name)
    with pytest.raises(DatasetError, match="being written by another run"):
        forget_pictures(folder)
    lock.release()
    assert len(list(folder.path.rglob("picture.png"))) == 5
    assert forget_pictures(folder)


def test_what_a_kill_left_is_deleted_by_the_next_call(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    shutil.rmtree(folder.dataset / "frames")
    assert folder.dataset in forget_pictures(folder)


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    with pytest.raises(DatasetError, match="is not the folder of a run"):
        forget_pictures(RunFolder(tmp_path))
    assert (tmp_path / "training").is_dir()


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    first = run_script("forget", folder.path)
    assert first.code == 0, first.err
    assert f"deleted {folder.dataset}" in first.out.replace("\n", "")
    assert not pictures_in(b"".join(path.read_bytes() for path in folder.path.rglob("*") if path.is_file()))
    assert "has no pictures left" in run_script("forget", folder.path).out.replace("\n", " ")
    assert run_script("forget", tmp_path / "nothing").code == DatasetError.exit_code
