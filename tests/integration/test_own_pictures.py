"""The pictures and labels of a run are never taken for a camera's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support.runs.cli_runs import run_cli
from support.runs.run_samples import FinishedRun, Samples, write_pictures


def captured(folder: Path) -> list[str]:
    manifest = json.loads((folder / "dataset" / "manifest.json").read_text(encoding="utf-8"))
    return [manifest["source"]["n_frames"], *sorted(picture["file"] for picture in manifest["pictures"])]


def test_a_run_inside_a_folder_of_pictures_is_left_out(
    finished_run: FinishedRun, samples: Samples, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_pictures(tmp_path / "day", range(14, 62, 3))
    assert run_cli("capture", tmp_path / "day", "-o", tmp_path / "one", "-c", samples.config).code == 0
    finished_run.copy(tmp_path / "day" / "a run of last week")
    shutil.copytree(finished_run.folder / "dataset", tmp_path / "day" / "copied")
    shots = tmp_path / "day" / "shots"
    assert run_cli("watch", samples.video, "--pictures", shots).code == 0
    assert list(shots.glob("*.jpg"))
    outcome = run_cli("capture", tmp_path / "day", "-o", tmp_path / "two", "-c", samples.config)
    assert outcome.code == 0, outcome.err
    assert captured(tmp_path / "two") == captured(tmp_path / "one")
    assert captured(tmp_path / "two")[0] == 16
    assert "3 folders of pictures written by edge-autotuner" in outcome.err + caplog.text


@pytest.mark.parametrize("inside", ["dataset", "dataset/frames", "."])
@pytest.mark.parametrize("command", ["capture", "run"])
def test_a_run_is_no_source(
    finished_run: FinishedRun, samples: Samples, tmp_path: Path, command: str, inside: str
) -> None:
    outcome = run_cli(command, finished_run.folder / inside, "-o", tmp_path / "run", "-c", samples.config)
    assert outcome.code == 3, outcome.err
    assert "pictures written by edge-autotuner" in outcome.err
    assert not (tmp_path / "run" / "dataset").exists()


@pytest.mark.parametrize("name", ["annotations.coco.json", "training.coco.json"])
def test_labels_of_a_run_are_no_ground_truth(
    finished_run: FinishedRun, samples: Samples, tmp_path: Path, name: str
) -> None:
    labels = finished_run.folder / "dataset" / name
    run = ("run", samples.video, "-o", tmp_path / "run", "-c", samples.config, "--ground-truth")
    outcome = run_cli(*run, labels)
    assert outcome.code == 10, outcome.err
    assert "labels of a teacher model, not of a human" in outcome.err
    corrected = json.loads(labels.read_text(encoding="utf-8"))
    del corrected["info"]
    (tmp_path / "corrected.json").write_text(json.dumps(corrected), encoding="utf-8")
    if name == "annotations.coco.json":
        outcome = run_cli(*run, tmp_path / "corrected.json")
        assert outcome.code == 0, outcome.err
