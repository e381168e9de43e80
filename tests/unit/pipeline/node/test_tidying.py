"""What is deleted of a camera, and what never is."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from edge_autotuner.config.node import StorageConfig
from edge_autotuner.core import FakeClock
from edge_autotuner.deployment import deploy
from edge_autotuner.pipeline.node.camera_folder import BatchOutcome, CameraFolder
from edge_autotuner.pipeline.node.tidying import tidy
from edge_autotuner.pipeline.run_folder import StageRecord
from unit.deployment.test_bundle import made

CLOCK = FakeClock()


def camera(folder: Path, n_batches: int, *, age_s: float = 0.0, n_unfinished: int = 0) -> CameraFolder:
    """Return a camera with batches that were closed some time ago; the last ones are still worked on."""
    found = CameraFolder(folder)
    closed_at = (CLOCK.now() - timedelta(seconds=age_s)).isoformat()
    for number in range(n_batches):
        batch = found.new_batch()
        for name in ("dataset/frames", "training/abc"):
            (batch.run.path / name).mkdir(parents=True)
            (batch.run.path / name / "file").write_bytes(b"x")
        (batch.run.path / "report.html").write_text("report", encoding="utf-8")
        batch.run.finish("capture", StageRecord("f", 1.0, closed_at))
        if number < n_batches - n_unfinished:
            batch.finish(BatchOutcome("kept", "", None, closed_at))
    return found


def names(folder: CameraFolder) -> list[str]:
    return [batch.name for batch in folder.batches()]


def test_only_the_last_batches_are_kept(tmp_path: Path) -> None:
    folder = camera(tmp_path, 5)
    tidy(folder, StorageConfig(keep_batches=2), CLOCK)
    assert names(folder) == ["00000004", "00000005"]


def test_what_is_worked_on_is_kept(tmp_path: Path) -> None:
    folder = camera(tmp_path, 5, age_s=1e9, n_unfinished=4)
    tidy(folder, StorageConfig(keep_batches=1, keep_pictures_s=1), CLOCK)
    assert names(folder) == [f"0000000{i}" for i in range(1, 6)]
    assert not (tmp_path / "batches/00000001/dataset").exists()
    assert all((tmp_path / f"batches/0000000{i}/dataset/frames/file").is_file() for i in range(2, 6))


def test_old_pictures_go_and_reports_stay(tmp_path: Path) -> None:
    folder = camera(tmp_path, 2, age_s=100)
    tidy(folder, StorageConfig(keep_pictures_s=101), CLOCK)
    assert (tmp_path / "batches/00000001/dataset").is_dir()
    tidy(folder, StorageConfig(keep_pictures_s=99), CLOCK)
    for number in (1, 2):
        batch = tmp_path / f"batches/0000000{number}"
        assert not (batch / "dataset").exists()
        assert not (batch / "training").exists()
        assert (batch / "report.html").is_file()
    tidy(folder, StorageConfig(keep_pictures_s=99), CLOCK)


def test_the_deployed_model_and_the_newest_others_are_kept(tmp_path: Path) -> None:
    for order, name in enumerate(("oldest", "older", "old", "new", "newer")):
        made(tmp_path / "bundles" / name, name=name)
        os.utime(tmp_path / "bundles" / name, (order, order))
    deploy(tmp_path, "oldest")
    tidy(CameraFolder(tmp_path), StorageConfig(keep_bundles=2), CLOCK)
    assert sorted(path.name for path in (tmp_path / "bundles").iterdir()) == ["new", "newer", "oldest"]


def test_a_new_camera_has_nothing_to_delete(tmp_path: Path) -> None:
    tidy(CameraFolder(tmp_path / "new"), StorageConfig(), CLOCK)
    assert not (tmp_path / "new").exists()
