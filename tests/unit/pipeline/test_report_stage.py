"""What the report takes from a dataset and from what the evaluation has kept."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from edge_autotuner.capture import CaptureSummary, SourceNumbers
from edge_autotuner.capture.statistics import MotionStatistics
from edge_autotuner.config import RunConfig
from edge_autotuner.core import LabelMap, SourceInfo
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import DatasetError
from edge_autotuner.evaluation.report import FrameComparison
from edge_autotuner.pipeline import report_stage, stages
from edge_autotuner.pipeline.evaluation_result import read_evaluation
from edge_autotuner.pipeline.report_stage import _compared_frames, _timeline
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.pipeline.session import Session
from support.cameras.frames import frame_of
from support.runs.run_samples import FinishedRun

RECORDED = SourceInfo("video", "street.mp4", (32, 24), 100, 10.0, "0" * 64)
CAPTURE = CaptureSummary.of(
    MotionStatistics(), SourceNumbers(n_frames=100, size_wh=(32, 24), watched_s=9.9), n_train=2, n_test=1
)


def store_in(folder: Path, source: SourceInfo, **settings: str) -> DatasetStore:
    """Return a dataset with frames of 3.0 s and 4.5 s for training and of 9.0 s for the test."""
    store = DatasetStore.create(folder, source=source, labels=LabelMap(("car",)), settings=settings)
    kept: tuple[tuple[float, Literal["train", "test"]], ...] = ((3.0, "train"), (4.5, "train"), (9.0, "test"))
    for time_s, split in kept:
        frame = frame_of(np.zeros((24, 32, 3), np.uint8), index=round(time_s * 10), time_s=time_s)
        store.add_frame(
            frame, split=split, regions_xyxy=np.zeros((0, 4), np.float32), motion_fraction=0.0, background=None,
            reason="new motion", picture_format="png", original=None,
        )  # fmt: skip
    return store


@pytest.mark.parametrize("source", [RECORDED, replace(RECORDED, kind="live", n_frames=None)], ids=["recorded", "live"])
def test_every_frame_has_its_place_in_time(source: SourceInfo, tmp_path: Path) -> None:
    with store_in(tmp_path / "dataset", source) as store:
        frames = _timeline(store, CAPTURE)
    assert Counter(frame.kind for frame in frames) == {"skipped": 97, "train": 2, "test": 1}
    assert [frame.time_s for frame in frames if frame.kind != "skipped"] == [3.0, 4.5, 9.0]
    times = [frame.time_s for frame in frames]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (0.0, 9.9)


def test_a_long_recording_is_thinned_out(tmp_path: Path) -> None:
    with store_in(tmp_path / "dataset", RECORDED) as store:
        frames = _timeline(store, replace(CAPTURE, n_frames=10**7, watched_s=10**6))
    assert len(frames) == 1503


def test_frames_of_another_source_are_not_on_it(tmp_path: Path) -> None:
    with store_in(tmp_path / "dataset", RECORDED, test_source="abc") as store:
        kinds = Counter(frame.kind for frame in _timeline(store, CAPTURE))
    assert kinds == {"skipped": 98, "train": 2}


def with_evaluation(folder: Path, **changes: Any) -> Path:
    path = folder / "evaluation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def compared(folder: Path) -> list[FrameComparison]:
    run = RunFolder(folder)
    with DatasetStore.open(run.dataset) as store:
        session = Session.open(folder, run.settings())
        return list(_compared_frames(session, store, read_evaluation(run.evaluation)))


def test_no_model_runs_for_the_report(
    finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the evaluation has kept is what the models find; a file of an earlier version has nothing of it."""
    old = compared(with_evaluation(finished_run.copy(tmp_path / "old"), shown=[]))

    def refuse(_session: Session) -> None:
        raise AssertionError("a model was opened")

    monkeypatch.setattr(report_stage, "open_detectors", refuse)
    monkeypatch.setattr(Session, "edge_model", refuse)
    new = compared(finished_run.folder)
    assert [frame.caption for frame in new] == [frame.caption for frame in old]
    for one, other in zip(new, old, strict=True):
        for kept, found in ((one.before, other.before), (one.after, other.after)):
            assert kept is not None
            assert found is not None
            np.testing.assert_array_equal(kept.boxes_xyxy, found.boxes_xyxy)
            np.testing.assert_array_equal(kept.scores, found.scores)
            np.testing.assert_array_equal(kept.class_ids, found.class_ids)


def test_classes_that_the_dataset_does_not_have(finished_run: FinishedRun, tmp_path: Path) -> None:
    foreign = {"boxes_xyxy": [[1, 1, 9, 9]], "scores": [0.9], "class_ids": [99]}
    folder = finished_run.copy(tmp_path / "run")
    shown = json.loads((folder / "evaluation.json").read_text())["shown"]
    shown = [frame | {"found": {"start": foreign, "candidate": foreign}} for frame in shown]
    with pytest.raises(DatasetError, match=r"evaluation\.json is not of this dataset: it has other classes"):
        compared(with_evaluation(folder, shown=shown))


def test_a_report_of_another_training_is_refused(finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    settings = RunFolder(folder).settings().model_dump(mode="json")
    settings["training"]["seed"] = 99
    with pytest.raises(DatasetError, match="used another edge model or other settings"):
        stages.report(folder, RunConfig.model_validate(settings))
