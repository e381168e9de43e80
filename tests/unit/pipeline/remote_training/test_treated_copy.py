"""The copy of a dataset that may leave: complete, treated, made once, and silent about what it hides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_autotuner.config import RunConfig
from edge_autotuner.core import CaptureEvent
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import ConfigError, StorageError
from edge_autotuner.pipeline.privacy import stored_settings
from edge_autotuner.pipeline.remote_training.treated_copy import OUTGOING_FOLDER, outgoing_dataset
from edge_autotuner.pipeline.run_folder import RunFolder
from support.runs.dataset_folders import add_frame, annotation, new_store
from support.runs.stage_samples import annotation_result, capture_result, record_of

MOVING = as_boxes([[0, 0, 32, 24]])  # the upper left quarter


def config(**privacy: Any) -> RunConfig:
    annotation = {"crop_margin": 0.0, "min_crop_px": 16}
    return RunConfig.model_validate({"annotation": annotation, "privacy": privacy})


def annotated_run(path: Path, **changes: Any) -> RunFolder:
    folder = RunFolder(path)
    with new_store(folder.dataset, **changes) as store:
        name = store.add_background(np.full((48, 64), 90, np.uint8))
        for index in range(4):
            split = "train" if index < 3 else "test"
            record = add_frame(store, index, split, regions_xyxy=MOVING, sent_xyxy=MOVING, background=name)
            for fingerprint in ("raw", "labels"):
                store.use_annotations(fingerprint, teacher="zoom", min_score=0.3, uncertain_score=0.1)
                seen = annotation((2, 2, 20, 20, 0.9, 1), (40, 30, 60, 46, 0.8, 0))
                store.add_annotation(record, seen, teacher="zoom", fingerprint=fingerprint)
        store.add_event(CaptureEvent("connected", 1.0, None, "no picture"))
    folder.finish("capture", record_of(capture_result(), "c"))
    folder.finish("annotation", record_of(annotation_result(), "labels"))
    return folder


@pytest.mark.parametrize("privacy", [{}, {"hide_min_score": 0.5}, {"apply": "at_rest"}])
def test_a_run_without_secrets_leaves_as_it_is(privacy: dict[str, Any], tmp_path: Path) -> None:
    folder = annotated_run(tmp_path)
    assert outgoing_dataset(folder, config(**privacy)) == folder.dataset


def test_the_copy_has_everything_but_what_is_hidden(tmp_path: Path) -> None:
    folder = annotated_run(tmp_path)
    copied = outgoing_dataset(folder, config(outside="blur"))
    assert copied.parent == tmp_path / OUTGOING_FOLDER
    with DatasetStore.open(folder.dataset) as original, DatasetStore.open(copied) as copy:
        assert [r.key for r in copy.frames()] == [r.key for r in original.frames()]
        assert copy.events() == original.events()
        assert [run.fingerprint for run in copy.annotation_runs] == ["raw", "labels"]
        assert copy.annotation_run == original.annotation_run
        for before, after in zip(original.frames(), copy.frames(), strict=True):
            assert (after.regions == before.regions).all()
            assert (after.time_s, after.reason, after.sent_xyxy) == (before.time_s, before.reason, before.sent_xyxy)
            shown, was = copy.read_image(after), original.read_image(before)
            assert (shown[:24, :32] == was[:24, :32]).all()
            assert shown[30:, 40:].std() < was[30:, 40:].std() / 1.5
            for fingerprint in ("raw", "labels"):
                said = copy.annotation_of(after, fingerprint)
                assert said is not None
                assert said.detections.boxes_xyxy.tolist() == [[2, 2, 20, 20]]
                assert said.looked_xyxy.tolist() == [[0, 0, 32, 24]]


def test_it_is_made_once_and_only_the_last_is_kept(tmp_path: Path) -> None:
    folder = annotated_run(tmp_path)
    first = outgoing_dataset(folder, config(outside="blur"))
    written = {path: path.stat().st_mtime_ns for path in first.rglob("*.png")}
    journal = (first / "journal.jsonl").read_bytes()
    assert outgoing_dataset(folder, config(outside="blur")) == first
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*.png")} == written
    assert (first / "journal.jsonl").read_bytes() == journal
    second = outgoing_dataset(folder, config(outside="background"))
    assert list((tmp_path / OUTGOING_FOLDER).iterdir()) == [second]


def test_a_copy_that_was_cut_short_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = annotated_run(tmp_path / "cut")
    write, n_left = DatasetStore.add_frame, iter([True, True, False])

    def fail_in_the_end(self: DatasetStore, *args: Any, **kwargs: Any) -> object:
        if not next(n_left, True):
            raise StorageError("the disk is full")
        return write(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(DatasetStore, "add_frame", fail_in_the_end)
        with pytest.raises(StorageError):
            outgoing_dataset(folder, config(outside="blur"))
    copied = outgoing_dataset(folder, config(outside="blur"))
    with DatasetStore.open(copied) as copy:
        assert len(copy.frames()) == 4
        assert len(copy.events()) == 1
        assert all(copy.annotation_of(record, "raw") is not None for record in copy.frames())


def test_what_was_treated_at_rest_by_the_same_rules_leaves_as_it_is(tmp_path: Path) -> None:
    stored = config(outside="blur", apply="at_rest")
    folder = annotated_run(tmp_path, settings=stored_settings(stored))
    assert outgoing_dataset(folder, stored) == folder.dataset
    other = config(outside="background", apply="at_rest")
    assert outgoing_dataset(folder, other) != folder.dataset, "the pictures were stored by other rules"
    plain = annotated_run(tmp_path / "plain")
    assert outgoing_dataset(plain, stored) != plain.dataset, "they were stored before the rules were set"


def test_whole_frames_stay_where_only_crops_may_leave(tmp_path: Path) -> None:
    folder = annotated_run(tmp_path)
    with pytest.raises(ConfigError, match=r"privacy\.send crops forbids training at a service"):
        outgoing_dataset(folder, config(send="crops"))
    assert outgoing_dataset(folder, config(send="crops", outside="blur")) != folder.dataset
