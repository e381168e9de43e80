"""How the time for the whole job is shared between stages, and when a stage counts as done."""

from __future__ import annotations

import math
import os
import subprocess
import threading
from pathlib import Path

import pytest

from edge_autotuner.config import RunConfig
from edge_autotuner.core import FakeClock
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.pipeline.session import Session


def session(folder: Path, clock: FakeClock, **settings: object) -> Session:
    return Session(RunFolder(folder), RunConfig.model_validate(settings), clock=clock)


def test_without_a_deadline_there_is_no_end(tmp_path: Path) -> None:
    at_work = session(tmp_path, FakeClock())
    for deadline in (at_work.capture_deadline(), at_work.annotation_deadline(), at_work.training_deadline()):
        assert deadline.remaining_s == math.inf
        assert not deadline.has_passed


def test_the_whole_time_is_shared(tmp_path: Path) -> None:
    clock = FakeClock()
    at_work = session(tmp_path, clock, deadline_s=100)
    assert at_work.capture_deadline().remaining_s == 25
    clock.advance(10)  # the capture was quick
    assert at_work.annotation_deadline().remaining_s == 40
    clock.advance(40)
    assert at_work.training_deadline().remaining_s == 50, "training takes what is left"


def test_what_a_killed_command_left_is_removed(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    folders = [tmp_path, tmp_path / "training" / "0123" / "first", tmp_path / "bundles"]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f".file.json.{dead.pid}-1.tmp").write_text("half")
        (folder / f".file.json.{os.getpid()}-{threading.get_ident()}.tmp").write_text("another command writes this")
    session(tmp_path, FakeClock())
    left = [path.name for folder in folders for path in folder.glob(".*")]
    assert left == [f".file.json.{os.getpid()}-{threading.get_ident()}.tmp"] * 3


def test_a_stage_that_comes_too_late_stops_at_once(tmp_path: Path) -> None:
    clock = FakeClock()
    at_work = session(tmp_path, clock, deadline_s=100)
    clock.advance(130)
    deadline = at_work.training_deadline()
    assert 0 < deadline.remaining_s <= 0.001
    clock.advance(0.01)
    assert deadline.has_passed


@pytest.mark.parametrize(
    ("own", "whole", "expected"),
    [(10, None, 10), (None, 100, 25), (10, 100, 10), (60, 100, 25)],
    ids=["own", "whole", "own-first", "whole-first"],
)
def test_the_shorter_time_counts(own: float | None, whole: float | None, expected: float, tmp_path: Path) -> None:
    at_work = session(tmp_path, FakeClock(), deadline_s=whole, capture={"deadline_s": own})
    assert at_work.capture_deadline().remaining_s == expected


def test_a_stage_is_recorded_when_it_ends_well(tmp_path: Path) -> None:
    clock = FakeClock()
    at_work = session(tmp_path, clock)
    with at_work.stage("capture", "print") as summary:
        clock.advance(3)
        summary["n_frames"] = 7
    record = at_work.folder.stage("capture")
    assert record is not None
    assert (record.fingerprint, record.seconds, record.summary) == ("print", 3, {"n_frames": 7})
    assert record.finished_at == "2026-01-01T00:00:03+00:00"
    assert at_work.is_done("capture", "print")
    assert not at_work.is_done("capture", "other")
    assert not at_work.is_done("annotation", "print")


def test_a_stage_knows_its_earlier_parts(tmp_path: Path) -> None:
    at_work = session(tmp_path, FakeClock())
    with at_work.stage("training", "print") as summary:
        summary["seconds"] = 42.0
    record = at_work.folder.stage("training")
    assert record is not None
    assert (record.seconds, record.summary) == (42.0, {})


def test_a_stage_that_fails_is_not_done(tmp_path: Path) -> None:
    at_work = session(tmp_path, FakeClock())
    with at_work.stage("capture", "old"):
        pass
    with pytest.raises(KeyboardInterrupt), at_work.stage("capture", "new"):
        raise KeyboardInterrupt
    assert at_work.is_done("capture", "old")


def test_opening_writes_nothing_until_the_settings_are_kept(tmp_path: Path) -> None:
    at_work = Session.open(tmp_path / "run", RunConfig())
    assert not (tmp_path / "run").exists()
    at_work.keep_settings()
    assert at_work.folder.settings() == RunConfig()
