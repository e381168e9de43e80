"""What stages leave comes back from `state.json` as it was, older records as far as they go, and no nonsense."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.annotation import RefinementSummary, TemporalCounts
from edge_autotuner.errors import DatasetError
from edge_autotuner.pipeline.loop import ANNOTATION, CAPTURE, EVALUATION, EXPORT, LOOP, TRAINING, Stage
from edge_autotuner.pipeline.run_folder import RunFolder, StageRecord
from edge_autotuner.pipeline.stage_results import EvaluationResult, ExportResult, Incumbent, SecondLook, StageResult
from helpers import REPOSITORY
from support.runs.stage_samples import AT, annotation_result, capture_result, record_of, training_result

REFINED = RefinementSummary("f", {"train": True, "test": False}, 8, 9, 10, 11, TemporalCounts(n_tracks=1))
LOOK = SecondLook(n_frames=3, n_labels_before=4, n_labels_after=5, after_epoch=1)
RESULTS = [
    pytest.param(CAPTURE, capture_result(reasons={"selected": 4}), id="capture"),
    pytest.param(ANNOTATION, annotation_result(), id="annotation"),
    pytest.param(ANNOTATION, annotation_result(refinement=REFINED), id="refined"),
    pytest.param(TRAINING, training_result(), id="training"),
    pytest.param(TRAINING, training_result(second_look=LOOK, allowed_s=60.0), id="second look"),
    pytest.param(EVALUATION, EvaluationResult(promoted=True, n_frames=3), id="evaluation"),
    pytest.param(EVALUATION, EvaluationResult(True, 3, Incumbent(None)), id="against the start model"),
    pytest.param(EVALUATION, EvaluationResult(True, 3, Incumbent("first")), id="against a bundle"),
    pytest.param(EXPORT, ExportResult("a", "b", "c", "d"), id="export"),
]


@pytest.mark.parametrize(("stage", "result"), RESULTS)
def test_a_result_comes_back(stage: Stage[StageResult], result: StageResult, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.finish(stage.name, record_of(result))
    seconds = result.seconds or 1.0
    assert folder.find_result(stage) == folder.result(stage, before="the test") == replace(result, seconds=seconds)
    assert "seconds" not in json.loads((tmp_path / "state.json").read_text())[stage.name]["summary"]


@pytest.mark.parametrize(("stage", "result"), RESULTS)
def test_what_lacks_a_value_is_refused(stage: Stage[StageResult], result: StageResult, tmp_path: Path) -> None:
    folder, values = RunFolder(tmp_path), result.to_json()
    del values[next(iter(values))]
    folder.finish(stage.name, StageRecord("f", 1.0, AT, values))
    with pytest.raises(DatasetError, match="is not compatible with this version"):
        folder.result(stage, before="the test")


def test_nothing_is_left_of_what_was_not_done(tmp_path: Path) -> None:
    for stage in LOOP:
        assert RunFolder(tmp_path).find_result(stage) is None
        with pytest.raises(DatasetError, match=f"has no finished {stage.name}, which the report needs"):
            RunFolder(tmp_path).result(stage, before="the report")


@pytest.mark.parametrize(
    ("stage", "result", "missing"),
    [
        pytest.param(ANNOTATION, annotation_result(), ["n_negatives", "input_size_wh"], id="annotation"),
        pytest.param(
            TRAINING,
            training_result(),
            ["n_steps_wanted", "second_look", "allowed_s", "n_replayed_frames"],
            id="training",
        ),
        pytest.param(CAPTURE, capture_result(), ["n_source_pixels", "n_lost", "n_times_repaired"], id="capture"),
    ],
)
def test_records_of_earlier_versions(
    stage: Stage[StageResult], result: StageResult, missing: list[str], tmp_path: Path
) -> None:
    values = {key: value for key, value in result.to_json().items() if key not in missing}
    folder = RunFolder(tmp_path)
    folder.finish(stage.name, StageRecord("f", 1.0, AT, values))
    assert folder.find_result(stage) is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 3}, "'layers' must be text, got 3"),
        ({"n_steps": -1}, "'n_steps' must be a whole number from 0 on"),
        ({"history": [{"epoch": 0}]}, r"history\[0\]: 'loss' must be a number, got nothing"),
        ({"history": {}}, "'history' must be a list of objects"),
        ({"second_look": {"n_frames": True}}, "second_look: 'n_frames' must be a whole number"),
    ],
)
def test_nonsense_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.finish("training", StageRecord("f", 1.0, AT, training_result().to_json() | changes))
    with pytest.raises(DatasetError, match=rf"state\.json: the training record .*{message}.*tune` again"):
        folder.find_result(TRAINING)


def test_a_capture_of_another_version_says_what_to_do(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.finish("capture", StageRecord("f", 1.0, AT, {"n_frames": 3, "source": "cam.mp4"}))
    with pytest.raises(DatasetError, match=r"is not compatible with this version \(.*n_looked.*\); capture again"):
        folder.find_result(CAPTURE)


def test_pixels_of_the_source() -> None:
    assert capture_result().to_json()["n_source_pixels"] == 100 * 80 * 60


def test_nobody_reads_a_record_by_key() -> None:
    sources = (REPOSITORY / part for part in ("src", "benchmarks", "recipes"))
    files = [path for source in sources for path in source.rglob("*.py")]
    readers = [path for path in files if re.search(r"\.summary(\[|\.get\()", path.read_text(encoding="utf-8"))]
    assert readers == [], "ask `RunFolder.result` for the typed result of a stage"
