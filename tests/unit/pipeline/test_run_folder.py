"""The record of finished stages: what ends with a stage, and what a damaged file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_autotuner.config import RunConfig
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.deployment.deployed import BUNDLES_FOLDER, DEPLOYED_LINK
from edge_autotuner.errors import ConfigError, DatasetError, StorageError
from edge_autotuner.pipeline.loop import STAGES
from edge_autotuner.pipeline.run_folder import (
    SETTINGS_FILE,
    STATE_FILE,
    RunFolder,
    StageRecord,
)
from edge_autotuner.storage.outputs import check_output_file


def record(name: str) -> StageRecord:
    return StageRecord(f"of {name}", 1.5, "2026-01-01T00:00:00+00:00", {"n": 3, "list": [1, 2]})


def test_a_new_folder_has_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    assert [folder.stage(name) for name in STAGES] == [None] * len(STAGES)
    assert not folder.path.exists(), "looking creates nothing"


def test_records_survive(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run").finish("capture", record("capture"))
    assert RunFolder(tmp_path / "run").stage("capture") == record("capture")
    assert RunFolder(tmp_path / "run").stage("annotation") is None


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_done_again_undoes_the_later_ones(name: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for stage in STAGES:
        folder.finish(stage, record(stage))
    again = StageRecord("new", 0.1, "2026-01-02T00:00:00+00:00")
    folder.finish(name, again)
    position = STAGES.index(name)
    assert [folder.stage(s) for s in STAGES] == [
        *(record(s) for s in STAGES[:position]),
        again,
        *([None] * (len(STAGES) - position - 1)),
    ]


def test_a_missing_stage_names_the_command(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.finish("capture", record("capture"))
    assert folder.require("capture", before="annotation") == record("capture")
    expected = r"has no finished training, which evaluation needs; run `edge-autotuner tune` on it first"
    with pytest.raises(DatasetError, match=expected):
        folder.require("training", before="evaluation")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param('{"capture": ', id="torn"),
        pytest.param("[]", id="list"),
        pytest.param("7", id="number"),
        pytest.param('{"capture": 7}', id="no-record"),
        pytest.param('{"capture": {"fingerprint": "a"}}', id="incomplete"),
        pytest.param('{"capture": {"colour": "red"}}', id="unknown-key"),
    ],
)
def test_a_damaged_record_can_be_deleted(text: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(DatasetError, match=r"state\.json is damaged .*; delete it to check all stages again"):
        RunFolder(tmp_path).stage("capture")


def test_settings_make_a_round_trip(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a" / "run")
    config = RunConfig.model_validate({
        "input_size": "320x192", "models_dir": tmp_path, "training": {"deadline_s": "2min"},
        "evaluation": {"map_classes": {"bus": "car"}}, "capture": {"train_frames": ":50"},
    })  # fmt: skip
    folder.save_settings(config)
    assert folder.settings() == config


def test_settings_that_are_not_there_or_wrong(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is not the folder of a run; start with"):
        RunFolder(tmp_path).settings()
    (tmp_path / "settings.yaml").write_text("training:\n  speed: 3\n")
    with pytest.raises(ConfigError, match=r"settings\.yaml:2: training\.speed: no such setting"):
        RunFolder(tmp_path).settings()


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(StorageError, match="cannot write"):
        RunFolder(tmp_path / "run").save_settings(RunConfig())
    with pytest.raises(StorageError, match="cannot write"):
        RunFolder(tmp_path / "run").finish("capture", record("capture"))


def test_fingerprints_depend_on_values_not_on_the_order_of_keys() -> None:
    assert fingerprint_of({"a": 1, "b": 2}, "x") == fingerprint_of({"b": 2, "a": 1}, "x")
    assert fingerprint_of("ab") != fingerprint_of("a", "b")
    assert fingerprint_of((416, 416)) == fingerprint_of([416, 416])
    assert fingerprint_of() != fingerprint_of(None)
    assert len(fingerprint_of(Path("a"))) == 16


def test_edited_settings_are_used_and_never_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, file = RunFolder(tmp_path), tmp_path / "settings.yaml"
    folder.save_settings(RunConfig())
    assert folder.settings() == RunConfig()
    mine = file.read_text().replace("max_test_images: 200", "max_test_images: 7  # fewer")
    file.write_text(mine)
    edited = folder.settings()
    assert edited.capture.max_test_images == 7
    folder.save_settings(edited)
    assert [path.name for path in tmp_path.iterdir()] == ["settings.yaml"], "what it says is what is done"
    file.write_text(mine)
    folder.save_settings(RunConfig())
    folder.save_settings(edited)
    assert (tmp_path / "settings.edited-1.yaml").read_text() == mine
    assert len(list(tmp_path.iterdir())) == 2, "what a command wrote is replaced without a copy"
    assert caplog.text.count("kept as settings.edited-1.yaml: this command uses different settings") == 1


def test_settings_of_versions_without_a_hash_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("input_size: 96\n")
    RunFolder(tmp_path).save_settings(RunConfig())
    assert [path.name for path in tmp_path.iterdir()] == ["settings.yaml"]


def test_no_output_takes_the_name_of_a_part_of_a_run(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    parts = {SETTINGS_FILE, STATE_FILE, BUNDLES_FOLDER, DEPLOYED_LINK, run.training("x").parent.name}
    parts |= {path.name for path in (run.dataset, run.evaluation, run.report)}
    run.save_settings(RunConfig())
    run.finish("capture", record("capture"))
    for name in sorted(parts):
        with pytest.raises(ConfigError, match="is part of the run"):
            check_output_file(tmp_path / name, option="--output", reads={}, overwrite=True)
    check_output_file(tmp_path / "results.json", option="--output", reads={})
