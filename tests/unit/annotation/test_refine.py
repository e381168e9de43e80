"""Refined labels: derived from the teacher's, stored beside them, repeatable, and what everybody reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.annotation import RefinementSummary, refine_dataset
from edge_autotuner.config import AnnotationConfig, RefinementConfig
from edge_autotuner.config.annotation import NO_REFINEMENT
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import NoLabelsFound
from edge_autotuner.storage.journal import read_journal
from support.runs.dataset_folders import add_frame, annotation, new_store

N_TRAIN, N_TEST = 24, 12
SIGN = (2.0, 2.0, 8.0, 14.0, 0.45, 0)  # person
CONFIG = AnnotationConfig(refine=RefinementConfig(static_min_s=1.0))


def walker(i: int, score: float = 0.8) -> tuple[float, float, float, float, float, int]:
    return 12 + 0.8 * i + 0.3 * (-1) ** i, 20.0, 22 + 0.8 * i + 0.3 * (-1) ** i, 40.0, score, 0


def filled(folder: Path, *, sign: bool = True) -> DatasetStore:
    """Make a dataset of 10 Hz: somebody walks past a sign, and is missed once in each split."""
    store = new_store(folder)
    still = np.zeros((0, 4), np.float32)
    for index in range(N_TRAIN + N_TEST):
        split = "train" if index < N_TRAIN else "test"
        record = add_frame(store, index, split, regions_xyxy=still)
        rows = [walker(index)] if index not in (9, 30) else []
        store.add_annotation(record, annotation(*rows, *([SIGN] if sign else [])), teacher="t", fingerprint="raw")
    return store


def refine(store: DatasetStore, config: AnnotationConfig = CONFIG, fingerprint: str = "refined") -> RefinementSummary:
    return refine_dataset(store, config, teacher="t", raw_fingerprint="raw", fingerprint=fingerprint)


def scores_at(store: DatasetStore, index: int, fingerprint: str = "refined") -> list[float]:
    record = next(frame for frame in store.frames() if frame.index == index)
    found = store.annotation_of(record, fingerprint)
    assert found is not None
    return [round(float(score), 3) for score in found.detections.scores]


def test_summary_counts_every_rule(tmp_path: Path) -> None:
    with filled(tmp_path) as store:
        summary = refine(store)
        assert summary.is_film == {"train": True, "test": True}
        assert (summary.n_static_places, summary.n_static_labels) == (1, N_TRAIN + N_TEST)
        assert (summary.n_labels, summary.n_negatives) == (N_TRAIN - 1, 1)
        assert (summary.temporal.n_tracks, summary.temporal.n_filled) == (2, 2)
        assert summary.temporal.n_smoothed == N_TRAIN + N_TEST - 2
        assert RefinementSummary.from_json(store.note("refinement")) == summary
        assert scores_at(store, 3) == [0.8, 0.3], "the sign is uncertain now: just below 0.3"
        assert scores_at(store, 9) == [0.3, 0.3], "so is the place where somebody was missed"
        assert scores_at(store, 3, "raw") == [0.8, 0.45], "what the teacher said stays"


def test_background_drops_what_ignore_keeps(tmp_path: Path) -> None:
    rules = CONFIG.refine.model_copy(update={"static_objects": "background", "fill_gaps": "keep"})
    with filled(tmp_path) as store:
        refine(store, AnnotationConfig(refine=rules))
        assert scores_at(store, 3) == [0.8]
        assert scores_at(store, 9) == []


def test_everybody_reads_the_refined_labels(tmp_path: Path) -> None:
    with filled(tmp_path) as store:
        refine(store)
        assert store.fingerprint == "refined"
    coco = json.loads((tmp_path / "annotations.coco.json").read_text(encoding="utf-8"))
    certain = [a for a in coco["annotations"] if not a["uncertain"]]
    assert len(certain) == N_TRAIN + N_TEST - 2
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["annotation"]["fingerprint"] == "refined"
    assert manifest["annotation"]["n_frames"] == N_TRAIN + N_TEST


def test_a_second_time_writes_no_labels(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    with filled(tmp_path) as store:
        first = refine(store)
        n_before = len(read_journal(journal).records)
        assert refine(store) == first
        again = read_journal(journal).records[n_before:]
    assert [record["kind"] for record in again] == ["note"], "only the summary"


def test_other_rules_start_from_the_teachers_labels(tmp_path: Path) -> None:
    with filled(tmp_path) as store:
        refine(store)
        refine(store, AnnotationConfig(refine=NO_REFINEMENT), "as it was")
        for record in store.frames():
            raw, again = store.annotation_of(record, "raw"), store.annotation_of(record, "as it was")
            assert raw is not None
            assert again is not None
            np.testing.assert_array_equal(raw.detections.boxes_xyxy, again.detections.boxes_xyxy)
            np.testing.assert_array_equal(raw.detections.scores, again.detections.scores)
            assert (raw.n_calls, raw.n_pixels) == (again.n_calls, again.n_pixels)


def test_later_annotations_are_taken_over(tmp_path: Path) -> None:
    """A deadline left frames without labels; when they come, everything is derived again."""
    with filled(tmp_path) as store:
        late = add_frame(store, 60, "train")
        assert refine(store).n_labels == N_TRAIN - 1
        assert store.annotation_of(late, "refined") is None
        store.add_annotation(late, annotation((30, 30, 40, 45, 0.9, 1)), teacher="t", fingerprint="raw")
        assert refine(store).n_labels == N_TRAIN
        assert scores_at(store, 60) == [0.9]


def test_places_are_learned_from_training_frames_only(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    with store:
        for index in range(N_TRAIN + N_TEST):
            split = "train" if index < N_TRAIN else "test"
            record = add_frame(store, index, split, regions_xyxy=np.zeros((0, 4)))
            rows = [walker(index), SIGN] if split == "test" else [walker(index)]
            store.add_annotation(record, annotation(*rows), teacher="t", fingerprint="raw")
        assert refine(store).n_static_places == 0


def test_shuffled_pictures_keep_their_boxes(tmp_path: Path) -> None:
    """The static sign goes all the same: that rule does not need the order."""
    order = np.random.default_rng(0).permutation(N_TRAIN).tolist()
    with new_store(tmp_path) as store:
        for index, position in enumerate(order):
            record = add_frame(store, index, regions_xyxy=np.zeros((0, 4)))
            row = (2.0 * position + 8, 20.0, 2.0 * position + 14, 40.0, 0.5, 0)
            store.add_annotation(record, annotation(row, SIGN), teacher="t", fingerprint="raw")
        summary = refine(store)
        assert summary.is_film == {"train": False, "test": False}
        assert summary.n_static_places == 1
        assert scores_at(store, 5) == [0.5, 0.3]


def test_nothing_left(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        for index in range(N_TRAIN):
            record = add_frame(store, index, regions_xyxy=np.zeros((0, 4)))
            store.add_annotation(record, annotation(SIGN), teacher="t", fingerprint="raw")
        with pytest.raises(
            NoLabelsFound, match=r"refinement removed all labels of teacher t: 24 stay in one place .* to keep"
        ):
            refine(store)
        assert store.note("refinement")["n_labels"] == 0


def test_the_refined_labels_need_their_own_fingerprint(tmp_path: Path) -> None:
    with filled(tmp_path) as store, pytest.raises(ValueError, match="a fingerprint of their own"):
        refine(store, fingerprint="raw")


def test_a_spurious_class_is_dropped_everywhere_and_said(tmp_path: Path) -> None:
    with filled(tmp_path, sign=False) as store:
        car = (50.0, 2.0, 60.0, 12.0, 0.4, 1)
        for index in (5, 31):  # once in each split
            record = next(frame for frame in store.frames() if frame.index == index)
            store.add_annotation(record, annotation(walker(index), car), teacher="t", fingerprint="raw")
        rules = CONFIG.refine.model_copy(update={"flicker_max_score": 0.0})
        summary = refine(store, CONFIG.model_copy(update={"refine": rules}))
        [dropped] = summary.dropped
        assert (dropped.name, dropped.n_labels, dropped.n_places) == ("car", 1, 1)
        assert RefinementSummary.from_json(json.loads(json.dumps(summary.to_json()))) == summary
        assert [scores_at(store, index)[1] for index in (5, 31)] == [0.3, 0.3], "uncertain, just below 0.3"
        kept = CONFIG.model_copy(update={"refine": rules.model_copy(update={"spurious_classes": "keep"})})
        assert refine(store, kept, "kept").dropped == ()
        assert scores_at(store, 31, "kept")[1] == 0.4
