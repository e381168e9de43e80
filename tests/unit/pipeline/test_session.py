"""What stages share: time, the edge model, and the runner, which knows when a stage is done."""

from __future__ import annotations

import math
import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config import RunConfig
from edge_autotuner.core import STREET_6, FakeClock, LabelMap
from edge_autotuner.errors import ConfigError, DatasetError
from edge_autotuner.pipeline import session as session_module
from edge_autotuner.pipeline.loop import ANNOTATION, CAPTURE, EXPORT, LOOP, STAGES, TRAINING, Stage
from edge_autotuner.pipeline.run_folder import RunFolder, StageRecord
from edge_autotuner.pipeline.session import Prepared, Session, run_stage, run_stages
from edge_autotuner.pipeline.stage_results import EvaluationResult
from support.runs.run_samples import Samples


def session(folder: Path, clock: FakeClock, **settings: object) -> Session:
    return Session(RunFolder(folder), RunConfig.model_validate(settings), clock=clock)


def test_without_a_deadline_there_is_no_end(tmp_path: Path) -> None:
    at_work = session(tmp_path, FakeClock())
    for deadline in map(at_work.deadline, LOOP):
        assert deadline.remaining_s == math.inf
        assert not deadline.has_passed


def test_the_whole_time_is_shared(tmp_path: Path) -> None:
    clock = FakeClock()
    at_work = session(tmp_path, clock, deadline_s=100)
    assert at_work.deadline(CAPTURE).remaining_s == 25
    clock.advance(10)  # the capture was quick
    assert at_work.deadline(ANNOTATION).remaining_s == 40
    clock.advance(40)
    assert at_work.deadline(TRAINING).remaining_s == 50, "training takes what is left"


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
    deadline = at_work.deadline(TRAINING)
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
    assert at_work.deadline(CAPTURE).remaining_s == expected


@dataclass(frozen=True)
class FakeStage(Stage[Any]):
    """A stage that does what a test says."""

    prepared: Prepared[Any] = field(default_factory=lambda: Prepared(None))

    @property
    def prepare(self) -> Any:
        return lambda _session: nullcontext(self.prepared)


def evaluation(*, seconds: float | None = None) -> EvaluationResult:
    return EvaluationResult(promoted=True, n_frames=7, seconds=seconds)


def fake(work: Callable[[], Any] | None, fingerprint: str | None = "print", **changes: Any) -> FakeStage:
    return FakeStage("capture", "capture", prepared=Prepared(work, fingerprint, **changes))


def test_a_stage_is_recorded_when_it_ends_well(tmp_path: Path) -> None:
    clock = FakeClock()
    at_work = session(tmp_path, clock)

    def work() -> EvaluationResult:
        assert at_work.folder.settings() == at_work.config, "they are kept as soon as the stage can work"
        clock.advance(3)
        return evaluation()

    run_stage(at_work, fake(work))
    assert at_work.folder.stage("capture") == StageRecord(
        "print", 3, "2026-01-01T00:00:03+00:00", {"promoted": True, "n_frames": 7, "incumbent": None}
    )
    assert at_work.is_done(CAPTURE, "print")
    assert not at_work.is_done(CAPTURE, "other")
    assert not at_work.is_done(ANNOTATION, "print")


def test_a_stage_knows_its_earlier_parts(tmp_path: Path) -> None:
    at_work = session(tmp_path, FakeClock())
    run_stage(at_work, fake(lambda: evaluation(seconds=42.0)))
    record = at_work.folder.stage("capture")
    assert record is not None
    assert record.seconds == 42.0


def test_a_stage_that_fails_is_not_done(tmp_path: Path) -> None:
    at_work = session(tmp_path, FakeClock())
    run_stage(at_work, fake(evaluation, "old"))

    def interrupted() -> EvaluationResult:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(at_work, fake(interrupted, "new"))
    assert at_work.is_done(CAPTURE, "old")


def test_a_finished_stage_is_not_repeated(tmp_path: Path) -> None:
    at_work, done = session(tmp_path, FakeClock()), []

    def work() -> EvaluationResult:
        done.append(1)
        return evaluation()

    for _ in range(2):
        run_stage(at_work, fake(work))
    assert len(done) == 1
    run_stage(at_work, fake(work, is_kept=False))
    assert len(done) == 2, "something that it made is gone"
    run_stage(at_work, fake(work, "other"))
    assert len(done) == 3, "its settings are others"
    run_stage(at_work, fake(None, "third"))
    assert at_work.is_done(CAPTURE, "other"), "nothing was left to do"


def test_what_records_nothing_keeps_no_settings(tmp_path: Path) -> None:
    at_work, done = session(tmp_path, FakeClock()), []
    run_stage(at_work, fake(lambda: done.append(1), None))
    assert (done, list(tmp_path.iterdir())) == ([1], [])


def test_a_stage_needs_its_inputs(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no finished evaluation, which export needs"):
        run_stage(session(tmp_path, FakeClock()), EXPORT)


def test_the_runner_goes_through_a_part_of_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    told: list[str] = []
    monkeypatch.setattr(session_module, "run_stage", lambda _session, stage: ran.append(stage.name))
    at_work = session(tmp_path, FakeClock())
    run_stages(at_work)
    assert ran == list(STAGES)
    ran.clear()
    run_stages(at_work, first="training", last="export", on_done=told.append)
    assert ran == told == ["training", "evaluation", "export"]


def test_opening_writes_nothing(tmp_path: Path) -> None:
    Session.open(tmp_path / "run", RunConfig())
    assert not (tmp_path / "run").exists()


def test_the_edge_model_is_opened_once(samples: Samples, tmp_path: Path) -> None:
    at_work = session(tmp_path, FakeClock(), edge_model=str(samples.edge_model))
    before = at_work.edge_sha256
    edge = at_work.edge_model(of_dataset=STREET_6)
    assert at_work.edge_model() is edge
    assert at_work.edge_sha256 == edge.sha256 == before
    with pytest.raises(
        ConfigError, match=r"should learn person, .*, but the dataset was captured for car; use the dataset's classes"
    ):
        at_work.edge_model(of_dataset=LabelMap(("car",)))
