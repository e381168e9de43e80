"""Batches of a camera: which is collected, which waits, and what came of each."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edge_autotuner.errors import DatasetError
from edge_autotuner.node.camera_folder import BatchFolder, BatchOutcome, CameraFolder
from edge_autotuner.pipeline.run_folder import StageRecord

KEPT = BatchOutcome("kept", "not better", None, "2026-01-01T00:00:00+00:00")


def close(batch: BatchFolder) -> None:
    batch.run.finish("capture", StageRecord("f", 1.0, "2026-01-01T00:00:00+00:00"))


def test_a_new_camera_has_nothing(tmp_path: Path) -> None:
    folder = CameraFolder(tmp_path / "gate")
    assert (folder.batches(), folder.collecting(), folder.waiting()) == ([], None, None)


def test_what_a_killed_node_left_is_removed(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    bundle = tmp_path / "bundles" / "start"
    bundle.mkdir(parents=True)
    (bundle / "bundle.json").write_text("whole")
    (bundle / f".registry.json.{dead.pid}-1.tmp").write_text("half")
    (tmp_path / f".bundle.{dead.pid}.tmp").symlink_to(bundle, target_is_directory=True)
    (tmp_path / "bundles" / f".next.{dead.pid}.tmp").mkdir()
    CameraFolder(tmp_path).remove_leftovers()
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == ["bundles", "bundles/start", "bundles/start/bundle.json"]


def test_the_life_of_a_batch(tmp_path: Path) -> None:
    folder = CameraFolder(tmp_path)
    batch = folder.new_batch()
    assert batch.name == "00000001"
    collecting = folder.collecting()
    assert collecting is not None
    assert (collecting.name, folder.waiting()) == ("00000001", None)
    close(batch)
    waiting = folder.waiting()
    assert waiting is not None
    assert (folder.collecting(), waiting.name, waiting.outcome) == (None, "00000001", None)
    waiting.finish(KEPT)
    assert (folder.waiting(), batch.outcome) == (None, KEPT)


def test_the_oldest_waits_first_and_numbers_are_not_used_again(tmp_path: Path) -> None:
    folder = CameraFolder(tmp_path)
    for _ in range(3):
        close(folder.new_batch())
    waiting = folder.waiting()
    assert waiting is not None
    assert waiting.name == "00000001"
    (tmp_path / "batches" / "00000002" / "state.json").unlink()
    (tmp_path / "batches" / "00000002").rmdir()
    assert folder.new_batch().name == "00000004"


def test_other_files_are_no_batches(tmp_path: Path) -> None:
    folder = CameraFolder(tmp_path)
    folder.new_batch()
    for name in (".lock", "notes.txt", "1", "00000002x"):
        (tmp_path / "batches" / name).write_text("", encoding="utf-8")
    assert [batch.name for batch in folder.batches()] == ["00000001"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"outcome": "kept"}'])
def test_a_damaged_outcome(tmp_path: Path, text: str) -> None:
    batch = CameraFolder(tmp_path).new_batch()
    (batch.run.path / "outcome.json").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=r"outcome\.json is damaged .* delete it"):
        _ = batch.outcome
