"""Which frames are looked at, what is kept for the report, and a place for a third candidate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from edge_autotuner.config import RunConfig, load_config
from edge_autotuner.core import Detections, Detector
from edge_autotuner.pipeline import evaluation_stage, stages
from edge_autotuner.pipeline.evaluation_result import CANDIDATE, INCUMBENT, START, read_evaluation
from edge_autotuner.pipeline.evaluation_stage import frames_to_show
from edge_autotuner.pipeline.training_stage import open_models
from support.runs.dataset_folders import add_frame, new_store
from support.runs.run_samples import FinishedRun, state_of


class Fake:
    """A detector that finds a sure and an unsure object."""

    def __init__(self) -> None:
        self.n_calls = 0

    def detect(self, _image: object) -> Detections:
        self.n_calls += 1
        return Detections([[1, 1, 9, 9], [2, 2, 9, 9]], [0.9, 0.2], [0, 1])


def test_a_frame_without_labels_is_looked_at_for_the_report(tmp_path: Path) -> None:
    model = Fake()
    detectors = {START: cast(Detector, model)}
    with new_store(tmp_path) as store:
        records = [add_frame(store, index, "test") for index in range(2)]
        known = {START: {records[0].index: Detections([[1, 1, 9, 9], [2, 2, 9, 9]], [0.8, 0.1], [0, 1])}}
        frames = [evaluation_stage._shown(store, record, detectors, known) for record in frames_to_show(store)]
    assert [frame.index for frame in frames] == [0, 1]
    assert [frame.found[START].scores.tolist() for frame in frames] == [[np.float32(0.8)], [np.float32(0.9)]]
    assert model.n_calls == 1


def test_a_finished_evaluation_has_what_the_report_shows(finished_run: FinishedRun) -> None:
    result = read_evaluation(finished_run.folder / "evaluation.json")
    assert list(result.contenders) == [START, CANDIDATE]
    assert (result.incumbent, result.candidate) == (START, CANDIDATE)
    assert len(result.shown) == 6
    assert all(set(frame.found) == {START, CANDIDATE} for frame in result.shown)
    assert state_of(finished_run.folder)["evaluation"]["summary"]["incumbent"] == {"bundle": None}


def test_a_third_candidate_competes(finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = finished_run.copy(tmp_path / "run")
    monkeypatch.setattr(
        evaluation_stage,
        "open_models",
        lambda session: open_models(session) | {"pruned": replace(session.edge_model(), name="pruned")},
    )
    settings = load_config(folder / "settings.yaml").model_dump(mode="json")
    settings["evaluation"]["seed"] = 5
    result = stages.evaluate(folder, RunConfig.model_validate(settings))
    assert set(result.contenders) - {INCUMBENT} == {START, CANDIDATE, "pruned"}
    assert result.candidate in (CANDIDATE, "pruned")
    assert "pruned" in result.comparison.scores["teacher"]
    assert result.contenders["pruned"].found == result.before.found, "it is the start model under another name"
    assert result.promotion.confidence == pytest.approx(0.975), "the better one of two had two chances"
