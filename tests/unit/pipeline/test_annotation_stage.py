"""The stage: several teachers, and rules that can be changed without asking a teacher again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config import RunConfig, load_config
from edge_autotuner.config.annotation import NO_REFINEMENT
from edge_autotuner.dataset import DatasetStore, LabelledFrame
from edge_autotuner.errors import ConfigError
from edge_autotuner.pipeline import stages
from edge_autotuner.pipeline.annotation_stage import check_teacher
from edge_autotuner.storage.journal import read_journal
from support.runs.run_samples import FinishedRun, Samples, state_of


def settings(folder: Path, **annotation: Any) -> RunConfig:
    values = load_config(folder / "settings.yaml").model_dump(mode="json")
    values["annotation"] |= annotation
    return RunConfig.model_validate(values)


def answers_by_fingerprint(folder: Path) -> dict[str, int]:
    """Return how many frames were labelled under each fingerprint, repetitions included."""
    records = read_journal(folder / "dataset" / "journal.jsonl").records
    prints = [str(record["fingerprint"]) for record in records if record["kind"] == "annotation"]
    return {fingerprint: prints.count(fingerprint) for fingerprint in dict.fromkeys(prints)}


def test_other_rules_need_no_teacher(finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    before, first = answers_by_fingerprint(folder), state_of(folder)["annotation"]
    raw, refined = before
    assert before[raw] == before[refined]
    assert first["fingerprint"] == refined
    rules = {"static_objects": "background", "smooth_boxes_s": 0.1}
    stages.annotate(folder, settings(folder, refine=rules))
    second = state_of(folder)["annotation"]
    added = {key: n for key, n in answers_by_fingerprint(folder).items() if key not in before}
    assert added == {second["fingerprint"]: before[raw]}, "nothing but the labels of the new rules"
    assert second["summary"]["refinement"]["fingerprint"] == second["fingerprint"]
    assert set(state_of(folder)) == {"capture", "annotation"}, "what was made of the old labels counts no more"
    with DatasetStore.open(folder / "dataset") as store:
        assert store.fingerprint == second["fingerprint"]


def test_without_rules_the_teachers_labels_are_used(finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    raw = next(iter(answers_by_fingerprint(folder)))
    stages.annotate(folder, settings(folder, refine=NO_REFINEMENT.model_dump()))
    record = state_of(folder)["annotation"]
    assert record["fingerprint"] == raw
    assert "refinement" not in record["summary"]


def test_two_teachers_are_fused(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    before = state_of(folder)["annotation"]["summary"]
    config = settings(folder, teacher=["zoom", str(samples.teacher)], teacher_weights=[0.1, 1.0])
    stages.annotate(folder, config)
    summary = state_of(folder)["annotation"]["summary"]
    assert summary["teacher"] == f"zoom + {before['teacher']}"
    assert summary["n_calls"] == 2 * before["n_calls"]
    assert summary["input_size_wh"] == before["input_size_wh"], "the larger one"
    assert 0 < sum(summary["boxes_per_class"].values()) <= sum(before["boxes_per_class"].values())
    assert load_config(folder / "settings.yaml").annotation.teachers == ("zoom", str(samples.teacher))


def test_zoom_teaches_and_another_model_judges(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    unsure = {"adapter": "yolox", "min_score": 0.11, "uncertain_score": 0.1, "refine": NO_REFINEMENT.model_dump()}
    stages.annotate(folder, settings(folder, teacher="zoom", **unsure))
    with DatasetStore.open(folder / "dataset") as store:
        by_zoom = {split: store.labelled(split) for split in ("train", "test")}
    judge = {"teachers": str(samples.teacher)}
    stages.annotate(folder, settings(folder, teacher="zoom", test_labels=judge, **unsure))
    stages.annotate(folder, settings(folder, teacher=str(samples.teacher), test_labels={}, **unsure))
    with DatasetStore.open(folder / "dataset") as store:
        prints = list(answers_by_fingerprint(folder))
        alone = store.labelled("test")
        judged = [f for f in prints if _same(store.labelled("test", f), alone)]
        taught = [f for f in prints if _same(store.labelled("train", f), by_zoom["train"])]
        both = set(judged) & set(taught)
    assert both, "test frames as the judge alone labels them, training frames as zoom does"
    assert not _same(alone, by_zoom["test"]), "else this test says nothing"


def _same(some: list[LabelledFrame], others: list[LabelledFrame]) -> bool:
    pairs = zip(some, others, strict=False)
    return len(some) == len(others) > 0 and all(a.detections.equals(b.detections) for (_, a), (_, b) in pairs)


def test_judges_are_checked_before_the_capture(samples: Samples) -> None:
    with pytest.raises(ConfigError, match=r"teacher missing\.onnx does not exist"):
        check_teacher(RunConfig.model_validate({"annotation": {"test_labels": {"teachers": "missing.onnx"}}}))


def test_each_of_several_teachers_is_checked_before_the_capture(samples: Samples) -> None:
    good = {"teacher": f"zoom,{samples.teacher}", "adapter": "yolox"}
    check_teacher(RunConfig.model_validate({"annotation": good}))
    with pytest.raises(ConfigError, match=r"teacher missing\.onnx does not exist"):
        check_teacher(RunConfig.model_validate({"annotation": {"teacher": "zoom,missing.onnx"}}))
