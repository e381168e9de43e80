"""Copies of pictures in working folders: those that nobody works in go, the others stay."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_autotuner.core import FakeClock
from edge_autotuner.server.database import Database
from edge_autotuner.server.garbage_collection import StaleJobFolders
from edge_autotuner.storage.lock import FolderLock
from support.service.registry_samples import url_of

MAX_AGE_S = 1000.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stale(tmp_path: Path, clock: FakeClock) -> Iterator[StaleJobFolders]:
    database = Database(url_of(tmp_path))
    yield StaleJobFolders(tmp_path / "jobs", database, max_age_s=MAX_AGE_S, clock=clock)
    database.close()


def set_times(folder: Path, at: float) -> None:
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (at, at))


@pytest.fixture
def job(tmp_path: Path, clock: FakeClock) -> Path:
    folder = tmp_path / "jobs" / "j1"
    (folder / "run").mkdir(parents=True)
    (folder / "run" / "picture.png").write_bytes(b"a picture")
    (folder / "order.json").write_bytes(b"{}")
    FolderLock(folder).release()
    set_times(folder, clock.now().timestamp())
    return folder


def test_a_folder_goes_when_nothing_was_written_for_long(stale: StaleJobFolders, clock: FakeClock, job: Path) -> None:
    clock.advance(MAX_AGE_S - 1)
    stale.remove()
    assert (job / "run" / "picture.png").exists()
    clock.advance(1)
    stale.remove()
    assert list(job.parent.iterdir()) == []


def test_a_folder_in_which_something_was_written_stays(stale: StaleJobFolders, clock: FakeClock, job: Path) -> None:
    clock.advance(MAX_AGE_S)
    os.utime(job / "order.json", (clock.now().timestamp(),) * 2)
    stale.remove()
    assert job.exists()


def test_a_folder_in_which_somebody_works_stays(stale: StaleJobFolders, clock: FakeClock, job: Path) -> None:
    clock.advance(MAX_AGE_S)
    lock = FolderLock(job)
    stale.remove()
    assert job.exists()
    lock.release()
    stale.remove()
    assert not job.exists()


def test_a_folder_of_a_clock_that_was_ahead_ages_as_well(stale: StaleJobFolders, clock: FakeClock, job: Path) -> None:
    set_times(job, clock.now().timestamp() + 1e8)
    stale.remove()
    clock.advance(MAX_AGE_S)
    stale.remove()
    assert not job.exists()


def test_what_a_kill_left_half_removed_goes(stale: StaleJobFolders, job: Path) -> None:
    job.rename(job.with_name("j1.removed"))
    stale.remove()
    assert list(job.parent.iterdir()) == []


def test_without_jobs_there_is_nothing_to_do(stale: StaleJobFolders, tmp_path: Path) -> None:
    stale.remove()
    assert not (tmp_path / "jobs").exists()
