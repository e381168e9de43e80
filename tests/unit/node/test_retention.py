"""What is deleted of a camera, and what never is."""

from __future__ import annotations

import logging
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from edge_autotuner.config import RunConfig
from edge_autotuner.config.node import StorageConfig
from edge_autotuner.core import FakeClock
from edge_autotuner.dataset.replay import ReplayReservoir
from edge_autotuner.deployment import deploy
from edge_autotuner.node.batch_ages import SETTLE_S, BatchAges
from edge_autotuner.node.camera_folder import BatchOutcome, CameraFolder
from edge_autotuner.node.retention import Retention, cameras_in
from edge_autotuner.pipeline.run_folder import StageRecord
from edge_autotuner.storage.lock import FolderLock
from unit.dataset.test_replay import offer
from unit.deployment.test_bundle import made

CLOCK = FakeClock()


def apply(folder: CameraFolder, config: StorageConfig, clock: FakeClock, *, is_in_use: bool = False) -> None:
    """Apply the rules with a clock that has been steady for long enough."""
    ages = BatchAges(clock)
    ages._steady_since_s -= SETTLE_S
    Retention(config, clock, folder.path.parent, ages=ages).apply(folder, is_in_use=is_in_use)


def apply_all(retention: Retention, folder: Path) -> None:
    """Do what the node does every few seconds, and now and then."""
    retention.observe()
    for found in cameras_in(folder):
        retention.apply(found, is_in_use=False)


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
    apply(folder, StorageConfig(keep_batches=2), CLOCK)
    assert names(folder) == ["00000004", "00000005"]


def test_what_is_worked_on_is_kept(tmp_path: Path) -> None:
    folder = camera(tmp_path, 5, age_s=1e9, n_unfinished=4)
    apply(folder, StorageConfig(keep_batches=1, keep_pictures_s=1, keep_waiting_s=2e9), CLOCK)
    assert names(folder) == [f"0000000{i}" for i in range(1, 6)]
    assert not (tmp_path / "batches/00000001/dataset").exists()
    assert all((tmp_path / f"batches/0000000{i}/dataset/frames/file").is_file() for i in range(2, 6))


def test_old_pictures_go_and_reports_stay(tmp_path: Path) -> None:
    folder = camera(tmp_path, 2, age_s=100)
    apply(folder, StorageConfig(keep_pictures_s=101), CLOCK)
    assert (tmp_path / "batches/00000001/dataset").is_dir()
    apply(folder, StorageConfig(keep_pictures_s=99), CLOCK)
    for number in (1, 2):
        batch = tmp_path / f"batches/0000000{number}"
        assert not (batch / "dataset").exists()
        assert not (batch / "training").exists()
        assert (batch / "report.html").is_file()
    apply(folder, StorageConfig(keep_pictures_s=99), CLOCK)


def test_the_deployed_model_and_the_newest_others_are_kept(tmp_path: Path) -> None:
    for order, name in enumerate(("oldest", "older", "old", "new", "newer")):
        made(tmp_path / "bundles" / name, name=name)
        os.utime(tmp_path / "bundles" / name, (order, order))
    deploy(tmp_path, "oldest")
    apply(CameraFolder(tmp_path), StorageConfig(keep_bundles=2), CLOCK)
    assert sorted(path.name for path in (tmp_path / "bundles").iterdir()) == ["new", "newer", "oldest"]


def test_a_new_camera_has_nothing_to_delete(tmp_path: Path) -> None:
    apply(CameraFolder(tmp_path / "new"), StorageConfig(), CLOCK)
    assert not (tmp_path / "new").exists()


class SetClock(FakeClock):
    """A clock that somebody sets."""

    def __init__(self) -> None:
        super().__init__()
        self.set_by_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.set_by_s)


def frames_of(folder: CameraFolder, number: int) -> bool:
    return (folder.path / f"batches/{number:08d}/dataset/frames/file").is_file()


def test_pictures_in_reports_go_with_the_others(tmp_path: Path) -> None:
    folder = camera(tmp_path, 1, age_s=100)
    report = tmp_path / "batches/00000001/report.html"
    report.write_text('<p>AP .5</p><img src="data:image/webp;base64,UklGRg==">', encoding="utf-8")
    apply(folder, StorageConfig(keep_pictures_s=99), CLOCK)
    assert report.read_text(encoding="utf-8") == '<p>AP .5</p><img src="data:,">'


def test_batches_that_wait_too_long_are_given_up_loudly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = camera(tmp_path, 3, age_s=100, n_unfinished=2)
    apply(folder, StorageConfig(keep_waiting_s=101), CLOCK)
    assert [frames_of(folder, number) for number in (1, 2, 3)] == [True] * 3
    with caplog.at_level(logging.INFO):
        apply(folder, StorageConfig(keep_waiting_s=99), CLOCK)
    assert [frames_of(folder, number) for number in (1, 2, 3)] == [True, False, False]
    assert caplog.text.count("was NOT learned from") == 2
    assert caplog.text.count("deleted the pictures in") == 4
    assert folder.waiting() is None, "nobody tries to learn from what is gone"
    outcome = folder.batches()[1].outcome
    assert outcome is not None
    assert (outcome.outcome, outcome.bundle) == ("useless", None)


def test_what_is_just_learned_from_is_not_given_up(tmp_path: Path) -> None:
    folder = camera(tmp_path, 1, age_s=100, n_unfinished=1)
    lock = FolderLock(folder.lock)
    apply(folder, StorageConfig(keep_waiting_s=1), CLOCK)
    assert frames_of(folder, 1)
    lock.release()
    apply(folder, StorageConfig(keep_waiting_s=1), CLOCK)
    assert not frames_of(folder, 1)


def test_a_batch_that_nobody_completes_is_given_up(tmp_path: Path) -> None:
    folder = CameraFolder(tmp_path)
    dataset = folder.new_batch().run.dataset
    dataset.mkdir(parents=True)
    (dataset / "journal.jsonl").write_text("{}", encoding="utf-8")
    os.utime(dataset / "journal.jsonl", (CLOCK.now().timestamp() - 100,) * 2)
    collecting = FolderLock(dataset)
    apply(folder, StorageConfig(keep_waiting_s=99), CLOCK)
    assert dataset.is_dir(), "somebody collects"
    collecting.release()
    apply(folder, StorageConfig(keep_waiting_s=101), CLOCK)
    assert dataset.is_dir()
    apply(folder, StorageConfig(keep_waiting_s=99), CLOCK)
    assert not dataset.exists()
    assert folder.collecting() is not None, "its place is free for new frames"


def test_old_pictures_leave_the_reservoir(tmp_path: Path) -> None:
    folder = CameraFolder(tmp_path)
    reservoir = ReplayReservoir(folder.reservoir)
    reservoir.offer([offer(1), offer(2)])
    old = reservoir.pictures()[0]
    os.utime(folder.reservoir / old.file, (CLOCK.now().timestamp() - 100,) * 2)
    newer = folder.reservoir / reservoir.pictures()[1].file
    os.utime(newer, (CLOCK.now().timestamp() - 98,) * 2)
    apply(folder, StorageConfig(keep_replay_s=99), CLOCK)
    assert [picture.frame_id for picture in reservoir.pictures()] == ["cam:2"]
    assert [path.name for path in (folder.reservoir / "pictures").iterdir()] == [newer.name]


@pytest.mark.parametrize("by_s", [1e8, -1e8])
def test_a_clock_that_is_set_ages_nothing(by_s: float, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = camera(tmp_path / "gate", 2, age_s=50, n_unfinished=1)
    clock = SetClock()
    keep = StorageConfig(keep_pictures_s=100 + SETTLE_S, keep_waiting_s=200 + SETTLE_S)
    retention = Retention(keep, clock, tmp_path)
    clock.advance(SETTLE_S - 50)
    clock.set_by_s = by_s
    apply_all(retention, tmp_path)
    assert "the clock was set by" in caplog.text
    assert [frames_of(folder, number) for number in (1, 2)] == [True, True]
    clock.advance(SETTLE_S - 1)
    apply_all(retention, tmp_path)
    assert [frames_of(folder, number) for number in (1, 2)] == [True, True], "older than 100 s, but who knows"
    clock.advance(1)
    apply_all(retention, tmp_path)
    assert [frames_of(folder, number) for number in (1, 2)] == [False, False]


@pytest.mark.parametrize("by_s", [1e8, -1e8])
def test_ages_move_with_a_clock_that_is_set(by_s: float, tmp_path: Path) -> None:
    folder = camera(tmp_path / "gate", 2, age_s=50, n_unfinished=1)
    clock = SetClock()
    ages = BatchAges(clock)
    clock.set_by_s = by_s
    ages.observe([folder])
    assert [ages.of(batch) for batch in folder.batches()] == [timedelta(seconds=50)] * 2
    clock.advance(40)
    ages.observe([folder])
    assert [ages.of(batch) for batch in folder.batches()] == [timedelta(seconds=90)] * 2


def test_a_batch_that_is_closed_just_after_the_clock_was_set_is_new(tmp_path: Path) -> None:
    clock = SetClock()
    ages = BatchAges(clock)
    clock.set_by_s = -1e8
    folder = CameraFolder(tmp_path)
    folder.new_batch().run.finish("capture", StageRecord("f", 1.0, clock.now().isoformat()))
    clock.advance(2)
    ages.observe([folder])
    assert ages.of(folder.batches()[0]) == timedelta(seconds=2)


def test_the_reservoir_moves_with_the_clock(tmp_path: Path) -> None:
    folder = CameraFolder(tmp_path)
    reservoir = ReplayReservoir(folder.reservoir)
    reservoir.offer([offer(1)])
    picture = folder.reservoir / reservoir.pictures()[0].file
    clock = SetClock()
    os.utime(picture, (clock.now().timestamp() - 100,) * 2)
    ages = BatchAges(clock)
    clock.set_by_s = 1e8
    ages.observe([folder])
    assert picture.stat().st_mtime == clock.now().timestamp() - 100


@pytest.mark.parametrize("by_s", [1e9, -1e9])
def test_what_is_being_collected_has_no_age_whatever_the_clock_says(by_s: float, tmp_path: Path) -> None:
    """The node starts with a clock that is wrong for good."""
    folder = CameraFolder(tmp_path / "gate")
    dataset = folder.new_batch().run.dataset
    dataset.mkdir(parents=True)
    (dataset / "journal.jsonl").write_text("{}", encoding="utf-8")
    clock = SetClock()
    os.utime(dataset / "journal.jsonl", (clock.now().timestamp(),) * 2)
    clock.set_by_s = by_s
    retention = Retention(StorageConfig(keep_waiting_s=1), clock, tmp_path)
    clock.advance(2 * SETTLE_S)
    retention.observe()
    retention.apply(folder, is_in_use=True)
    assert dataset.is_dir()
    if by_s > 0:
        retention.apply(folder, is_in_use=False)
        assert not dataset.exists(), "nobody collects it any more"


def test_models_that_a_batch_started_from_are_kept(tmp_path: Path) -> None:
    folder = CameraFolder(tmp_path)
    for name in ("start", "other", "deployed"):
        made(tmp_path / "bundles" / name, name=name)
    for age, name in enumerate(("deployed", "other", "start")):
        os.utime(tmp_path / "bundles" / name, (1e9 - age,) * 2)
    deploy(tmp_path, "deployed")
    batch = folder.new_batch()
    batch.run.save_settings(RunConfig(edge_model=str(tmp_path / "bundles" / "start")))
    made(tmp_path / "bundles" / "newest", name="newest")
    apply(folder, StorageConfig(keep_bundles=1), CLOCK)
    assert sorted(path.name for path in (tmp_path / "bundles").iterdir()) == ["deployed", "newest", "start"]


def test_weeks_in_which_the_node_was_off_count(tmp_path: Path) -> None:
    folder = camera(tmp_path / "gate", 1, age_s=30 * 86_400 + 1)
    clock = FakeClock()
    retention = Retention(StorageConfig(), clock, tmp_path)
    apply_all(retention, tmp_path)
    assert frames_of(folder, 1), "the clock may be wrong"
    clock.advance(SETTLE_S)
    apply_all(retention, tmp_path)
    assert not frames_of(folder, 1)


def test_a_stamp_from_the_future_does_not_keep_pictures_for_ever(tmp_path: Path) -> None:
    folder = camera(tmp_path, 1, age_s=-1e9)
    clock = FakeClock()
    apply(folder, StorageConfig(keep_pictures_s=100), clock)
    assert frames_of(folder, 1)
    clock.advance(101)
    apply(folder, StorageConfig(keep_pictures_s=100), clock)
    assert not frames_of(folder, 1)


def test_cameras_that_the_settings_do_not_name_any_more_are_tidied(tmp_path: Path) -> None:
    left = camera(tmp_path / "removed-camera", 1, age_s=100)
    (tmp_path / "status.json").write_text("{}", encoding="utf-8")
    (tmp_path / "photos").mkdir()
    clock = FakeClock()
    retention = Retention(StorageConfig(keep_pictures_s=99), clock, tmp_path)
    clock.advance(SETTLE_S)
    apply_all(retention, tmp_path)
    assert not frames_of(left, 1)
    assert (tmp_path / "photos").is_dir()


def test_a_damaged_record_deletes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = camera(tmp_path, 1, age_s=1e9)
    (tmp_path / "batches/00000001/outcome.json").write_text("{", encoding="utf-8")
    (tmp_path / "batches/00000001/state.json").write_text("{", encoding="utf-8")
    apply(folder, StorageConfig(keep_pictures_s=1), CLOCK)
    assert frames_of(folder, 1)
    assert "is damaged" in caplog.text
