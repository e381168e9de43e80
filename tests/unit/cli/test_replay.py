"""`edge-autotuner replay`, and `--replay` of the commands that train."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support.runs.cli_runs import run_cli
from support.runs.dataset_folders import add_frame, annotation, new_store

PERSON, CAR = (1, 2, 20, 30, 0.9, 0), (10, 10, 30, 30, 0.8, 1)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    with new_store(tmp_path / "other") as store:
        for index, rows in enumerate([(PERSON,), (PERSON, CAR), ()]):
            store.add_annotation(add_frame(store, index), annotation(*rows), teacher="t", fingerprint="f")
    return tmp_path / "other"


def test_what_was_added_is_shown(tmp_path: Path, dataset: Path) -> None:
    outcome = run_cli("replay", "add", tmp_path / "memory", dataset, "--max-pictures", "40")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("3 of 3 labelled training frames were added; ")
    outcome = run_cli("replay", "show", tmp_path / "memory")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[0] == "pictures: 3 of at most 40"
    assert lines[1].startswith("size: 0.0 MB of at most 200 MB")
    assert lines[2:7] == [
        "replay: 0 pictures",
        "generic: 3 pictures",
        "  (nothing): 1 pictures",
        "  car: 1 pictures",
        "  person: 2 pictures",
    ]
    assert lines[7] == "  hours: 1, from 5f5f5f5f5f5f+0h to 5f5f5f5f5f5f+0h"


def test_the_own_past_is_added_as_such(tmp_path: Path, dataset: Path) -> None:
    assert run_cli("replay", "add", tmp_path / "memory", dataset, "--as", "replay").code == 0
    assert "replay: 3 pictures" in run_cli("replay", "show", tmp_path / "memory").out


def test_mistakes_are_explained(tmp_path: Path, dataset: Path) -> None:
    wrong = run_cli("replay", "add", tmp_path / "memory", dataset, "--as", "camera")
    assert wrong.code == 2
    assert "--as camera: origin must be one of replay, generic" in wrong.err
    missing = run_cli("replay", "show", tmp_path / "memory")
    assert missing.code != 0
    assert "is not a replay reservoir" in missing.err
    assert "is not a dataset" in run_cli("replay", "add", tmp_path / "memory", tmp_path / "nowhere").err


def test_run_takes_a_reservoir(tmp_path: Path) -> None:
    outcome = run_cli("run", "video.mp4", "-o", tmp_path / "run", "--dry-run", "--replay", "memory")
    assert json.loads(outcome.out)["training"]["replay"]["folder"] == "memory"


def test_old_pictures_are_forgotten(tmp_path: Path, dataset: Path) -> None:
    memory = tmp_path / "memory"
    n_added = int(run_cli("replay", "add", memory, dataset).out.split()[0])
    assert n_added > 0
    kept = run_cli("replay", "forget", memory, "--older-than", "1h")
    assert f"now has {n_added}" in " ".join(kept.out.split())
    for path in (memory / "pictures").iterdir():
        os.utime(path, (0, 0))
    gone = run_cli("replay", "forget", memory, "--older-than", "1h")
    assert f"{n_added} pictures were deleted;" in " ".join(gone.out.split())
    assert run_cli("replay", "forget", tmp_path / "nothing", "--older-than", "1h").code == 6
    assert run_cli("replay", "forget", memory, "--older-than", "soon").code == 2
