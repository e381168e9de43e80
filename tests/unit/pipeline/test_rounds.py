"""Two rounds with a second look between them: what each is trained on, and what interruptions and deadlines do."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_autotuner.config import RunConfig, load_config
from edge_autotuner.core import Deadline
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import DeadlineTooShort
from edge_autotuner.pipeline import rounds, stages
from edge_autotuner.training import TrainingSample, tune
from support.runs.run_samples import FinishedRun, candidate_of, state_of


def looking_twice(folder: Path, **changes: Any) -> RunConfig:
    settings = load_config(folder / "settings.yaml").model_dump(mode="json")
    settings["training"] |= {"second_look": {"enabled": True, "after": 0.4}, "n_epochs": 3, "layers": "all", **changes}
    return RunConfig.model_validate(settings)


def annotations_of(folder: Path) -> list[tuple[str, int, int]]:
    with DatasetStore.open(folder / "dataset") as store:
        found = [(record, store.annotation_of(record)) for record in store.frames()]
    return [(record.split, record.index, len(a.detections) if a else -1) for record, a in found]


class Recorder:
    """Stands for `tune`: trains really, and remembers what it was given."""

    def __init__(self, *, fail_in_round: int | None = None, error: type[Exception] = KeyboardInterrupt) -> None:
        self.samples: list[list[TrainingSample]] = []
        self.n_epochs: list[int] = []
        self._fail_in_round, self._error = fail_in_round, error

    def __call__(self, network: Any, samples: list[TrainingSample], config: Any, **arguments: Any) -> Any:
        self.samples.append(samples)
        self.n_epochs.append(config.n_epochs)
        if len(self.samples) == self._fail_in_round:
            raise self._error("stopped here")
        return tune(network, samples, config, **arguments)


def test_the_second_round_gets_labels_that_both_have_made(
    finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = finished_run.copy(tmp_path / "run")
    labels_before, recorder = annotations_of(folder), Recorder()
    monkeypatch.setattr(rounds, "tune", recorder)
    stages.tune(folder, looking_twice(folder))
    summary = state_of(folder)["training"]["summary"]
    first, second = recorder.samples
    assert recorder.n_epochs == [1, 2]
    assert len(first) == len(second) == summary["n_training_frames"]
    assert any(
        a.boxes_xyxy.shape != b.boxes_xyxy.shape or not np.array_equal(a.boxes_xyxy, b.boxes_xyxy)
        for a, b in zip(first, second, strict=True)
    )
    look = summary["second_look"]
    assert (look["after_epoch"], look["n_labels_after"]) == (1, sum(len(sample.boxes_xyxy) for sample in second))
    assert [epoch["epoch"] for epoch in summary["history"]] == [0, 1, 2, 3]
    assert annotations_of(folder) == labels_before, "the dataset's labels remain the teacher's"


def test_rounds_begin_where_the_one_before_ended(finished_run: FinishedRun, tmp_path: Path) -> None:
    once, twice = (finished_run.copy(tmp_path / name) for name in ("once", "twice"))
    stages.tune(once, looking_twice(once, second_look={"enabled": False}))
    stages.tune(twice, looking_twice(twice))
    assert candidate_of(once).read_bytes() != candidate_of(twice).read_bytes()
    assert state_of(once)["training"]["summary"]["second_look"] is None
    evaluation = stages.evaluate(twice)
    assert evaluation.n_frames > 0


@pytest.mark.parametrize("n_round", [1, 2])
def test_an_interrupted_training_ends_with_the_same_weights(
    finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_round: int
) -> None:
    whole, cut = (finished_run.copy(tmp_path / name) for name in ("whole", "cut"))
    stages.tune(whole, looking_twice(whole))
    with monkeypatch.context() as patch:
        patch.setattr(rounds, "tune", Recorder(fail_in_round=n_round))
        with pytest.raises(KeyboardInterrupt):
            stages.tune(cut, looking_twice(cut))
    stages.tune(cut, looking_twice(cut))
    assert candidate_of(cut).read_bytes() == candidate_of(whole).read_bytes()


def test_one_epoch_leaves_no_room_for_a_second_look(
    finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, recorder = finished_run.copy(tmp_path / "run"), Recorder()
    monkeypatch.setattr(rounds, "tune", recorder)
    stages.tune(folder, looking_twice(folder, n_epochs=1))
    assert recorder.n_epochs == [1]


def test_without_time_for_the_second_round_the_first_counts(
    finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = finished_run.copy(tmp_path / "run")
    monkeypatch.setattr(rounds, "tune", Recorder(fail_in_round=2, error=DeadlineTooShort))
    with caplog.at_level(logging.WARNING):
        stages.tune(folder, looking_twice(folder))
    assert "keeping the first round's student: stopped here" in caplog.text
    summary = state_of(folder)["training"]["summary"]
    assert (len(summary["history"]), summary["second_look"]) == (2, None)
    assert summary["stopped_by"] == "deadline", "more time continues it"


def test_without_time_for_two_rounds_there_is_one(
    finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder, recorder = finished_run.copy(tmp_path / "run"), Recorder(fail_in_round=1, error=DeadlineTooShort)
    monkeypatch.setattr(rounds, "tune", recorder)
    with caplog.at_level(logging.WARNING):
        stages.tune(folder, looking_twice(folder))
    assert "no time for a second look; training in one round: stopped here" in caplog.text
    assert recorder.n_epochs == [1, 3]
    assert len(state_of(folder)["training"]["summary"]["history"]) == 4


def test_without_time_for_a_single_look_the_first_round_counts(
    finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = finished_run.copy(tmp_path / "run")
    monkeypatch.setattr(rounds, "look_again", lambda *_, **__: [])
    with caplog.at_level(logging.WARNING):
        stages.tune(folder, looking_twice(folder))
    assert "no time was left for a second look" in caplog.text
    assert state_of(folder)["training"]["summary"]["second_look"] is None


def test_a_deadline_is_shared_out(finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first round may take its share, the look a part of the rest, and the second round everything."""
    folder, budgets = finished_run.copy(tmp_path / "run"), []

    def remember(*arguments: Any, deadline: Deadline, **others: Any) -> Any:
        budgets.append(deadline.budget_s)
        return tune(*arguments, deadline=Deadline(None), **others)

    monkeypatch.setattr(rounds, "tune", remember)
    stages.tune(folder, looking_twice(folder, deadline_s=1000))
    first, second = budgets
    assert first is not None
    assert second is not None
    assert 390 < first < 400
    assert 990 < second < 1000
