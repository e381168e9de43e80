"""Names that Linux allows and other programs stumble over: no UTF-8, colons, links. Every command takes them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_autotuner.core.file_names import name_of_text
from edge_autotuner.dataset import DatasetStore
from support.runs.cli_runs import run_cli
from support.runs.run_samples import FinishedRun, Samples, state_of, write_pictures

_NAMES = {"latin-1": "caf\udce9", "colon": "cam1:front", "rest": "a\nb %d #?*\U0001f600"}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *_texts(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _written(folder: Path) -> Iterator[Path]:
    """Yield what other programs read of a run."""
    yield from (path for path in folder.rglob("*") if path.suffix in {".json", ".html"} and path.is_file())


def _moved(samples: Samples, folder: Path, name: str) -> dict[str, Path]:
    """Copy the samples to files of a name."""
    found = {}
    for field in ("video", "ground_truth", "edge_model", "teacher"):
        original: Path = getattr(samples, field)
        found[field] = folder / f"{name}-{field}{original.suffix}"
        shutil.copy(original, found[field])
    settings = yaml.safe_load(samples.config.read_text())
    del settings["edge_model"], settings["annotation"]["teacher"]
    found["config"] = folder / f"{name}.yaml"
    found["config"].write_text(yaml.safe_dump(settings))
    return found


@pytest.mark.parametrize("kind", _NAMES)
def test_the_whole_job_with_odd_names(
    kind: str, samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = _NAMES[kind]
    monkeypatch.chdir(tmp_path)
    files = _moved(samples, Path(), name)
    run = Path(f"run-{name}")
    options = ["-c", files["config"], "--edge-model", files["edge_model"], "--teacher", files["teacher"]]
    outcome = run_cli("run", files["video"], "-o", run, *options, "--ground-truth", files["ground_truth"])
    assert outcome.code == 0, outcome.err
    for stage in ("capture", "annotate", "tune", "evaluate", "export", "report"):
        again = [files["video"], "-o", run, "-c", run / "settings.yaml"] if stage == "capture" else [run]
        outcome = run_cli(stage, *again)
        assert outcome.code == 0, outcome.err
    assert run_cli("detect", run, files["video"], "-o", Path(f"{name}-found.json")).code == 0
    assert run_cli("watch", files["video"], "--video", Path(f"{name}-seen.mp4")).code == 0
    assert Path(f"{name}-seen.mp4").stat().st_size > 0
    for path in (*_written(run), Path(f"{name}-found.json")):
        text = path.read_bytes().decode("utf-8")  # strictly
        if path.suffix == ".json":
            for part in _texts(json.loads(text)):
                part.encode("utf-8")
    with DatasetStore.open(run / "dataset") as store:
        assert name_of_text(store.source.name) == files["video"].name
    assert name_of_text(state_of(run)["capture"]["summary"]["source"]) == str(files["video"])


def test_pictures_with_any_name_and_behind_links(samples: Samples, finished_run: FinishedRun, tmp_path: Path) -> None:
    write_pictures(tmp_path / "day", range(18, 60, 2))
    os.rename(tmp_path / "day" / "20.png", tmp_path / "day" / "20\udce9.png")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "day1").symlink_to("../day")
    run = tmp_path / "run"
    outcome = run_cli("run", tmp_path / "pictures", "-o", run, "-c", samples.config)
    assert outcome.code == 0, outcome.err
    found = tmp_path / "found.json"
    options = ["--min-score", "0"]
    assert run_cli("detect", finished_run.folder, tmp_path / "pictures", "-o", found, *options).code == 0
    names = {record["file_name"] for record in json.loads(found.read_bytes().decode("utf-8"))}
    assert len(names) == 21
    assert all((tmp_path / "pictures" / name_of_text(name)).is_file() for name in names)
    exported = json.loads((run / "dataset" / "annotations.coco.json").read_bytes().decode("utf-8"))
    sources = {image["source_file_name"] for image in exported["images"]}
    assert all((tmp_path / "pictures" / name_of_text(name)).is_file() for name in sources)


@pytest.mark.parametrize("written", ["20\udce9.png", r"20\xe9.png"], ids=["as Python writes it", "as we write it"])
def test_a_ground_truth_names_such_pictures(finished_run: FinishedRun, tmp_path: Path, written: str) -> None:
    write_pictures(tmp_path / "day", range(18, 60, 2))
    os.rename(tmp_path / "day" / "20.png", tmp_path / "day" / "20\udce9.png")
    truth = {
        "images": [{"id": 7, "file_name": written, "width": 192, "height": 128}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 30, 20], "area": 600, "iscrowd": 0}],
        "categories": [{"id": 3, "name": "car"}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    command = ["detect", finished_run.folder, tmp_path / "day", "-o", tmp_path / "found.json", "--min-score", "0"]
    outcome = run_cli(*command, "--ground-truth", tmp_path / "truth.json")
    assert (outcome.code, outcome.out.split()[0]) == (0, "1"), outcome.err
