"""What a student is told about replayed pictures, and what a dataset leaves in a reservoir."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.core import LabelMap
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.dataset.replay import ReplayReservoir
from edge_autotuner.errors import DatasetError
from edge_autotuner.pipeline.replay_offers import AddedPictures, add_dataset
from edge_autotuner.pipeline.training_samples import replayed_samples, sample_for
from support.runs.dataset_folders import SOURCE, add_frame, annotation, new_store

PERSON, CAR, UNCERTAIN = (1, 2, 20, 30, 0.9, 0), (10, 10, 30, 30, 0.8, 1), (40, 5, 60, 20, 0.2, 0)
OTHER = replace(SOURCE, name="other.mp4", sha256="6e" * 32)


def dataset(folder: Path, *rows: tuple[float, ...], first: int = 0, source: object = OTHER) -> Path:
    """Make a run's dataset of one annotated training frame per row, and one test frame."""
    with new_store(folder / "dataset", source=source) as store:
        for index, row in enumerate(rows, start=first):
            record = add_frame(store, index)
            store.add_annotation(record, annotation(row, UNCERTAIN), teacher="t", fingerprint="f")  # type: ignore[arg-type]
        test = add_frame(store, 90, "test")
        store.add_annotation(test, annotation(PERSON), teacher="t", fingerprint="f")
    return folder


def filled(tmp_path: Path) -> ReplayReservoir:
    add_dataset(tmp_path / "memory", dataset(tmp_path / "other", PERSON, CAR))
    return ReplayReservoir(tmp_path / "memory")


def test_annotated_training_frames_are_added_once(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "other", PERSON, CAR, CAR)
    assert add_dataset(tmp_path / "memory", folder) == AddedPictures(3, 3, 3)
    assert add_dataset(tmp_path / "memory", folder / "dataset") == AddedPictures(3, 0, 3)
    held = ReplayReservoir(tmp_path / "memory").pictures()
    assert [p.labels.classes for p in held] == [("person",), ("car",), ("car",)]
    assert {(p.origin, p.era) for p in held} == {("generic", f"{OTHER.sha256[:12]}+0h")}
    np.testing.assert_array_equal(held[0].labels.ignored_xyxy, [[40, 5, 60, 20]])


def test_thresholds_are_those_of_the_annotations(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "other", CAR)
    with DatasetStore.open(folder / "dataset") as store:
        store.use_annotations("f", teacher="t", min_score=0.85, uncertain_score=0.5)
    add_dataset(tmp_path / "memory", folder)
    (picture,) = ReplayReservoir(tmp_path / "memory").pictures()
    assert picture.labels.classes == ()
    np.testing.assert_array_equal(picture.labels.ignored_xyxy, [[10, 10, 30, 30]])


def test_a_dataset_without_annotations_is_refused(tmp_path: Path) -> None:
    with new_store(tmp_path / "other") as store:
        add_frame(store, 0)
    with pytest.raises(DatasetError, match="has no annotated training frames"):
        add_dataset(tmp_path / "memory", tmp_path / "other")
    with pytest.raises(DatasetError, match="is not a dataset"):
        add_dataset(tmp_path / "memory", tmp_path / "nothing")
    assert not (tmp_path / "memory").exists()


def test_a_live_camera_is_ordered_by_the_hour_of_the_day(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "other", PERSON)
    with DatasetStore.open(folder / "dataset") as store:
        record = replace(store.frames("train")[0], captured_at="2026-05-01T13:45:10+00:00")
    from edge_autotuner.dataset.replay_records import era_of, frame_id_of

    assert era_of("ab", record) == "2026-05-01T13"
    assert frame_id_of("ab", record) == "ab:2026-05-01T13:45:10+00:00"


@pytest.mark.parametrize(
    ("student", "class_ids", "n_looked"),
    [
        pytest.param(("person", "car"), ([0], [1]), 1, id="the same classes"),
        pytest.param(("car", "person"), ([1], [0]), 1, id="another order"),
        pytest.param(("car",), ([], [0]), 1, id="fewer: a person is background"),
        pytest.param(("person", "car", "dog"), ([0], [1]), 0, id="more: background may be a dog"),
    ],
)
def test_classes_are_mapped_by_name(
    tmp_path: Path, student: tuple[str, ...], class_ids: tuple[list[int], list[int]], n_looked: int
) -> None:
    memory = filled(tmp_path)
    samples = [sample_for(memory, picture, LabelMap(student)) for picture in memory.pictures()]
    assert [None if s is None else s.class_ids.tolist() for s in samples] == list(class_ids)
    for sample in samples:
        assert sample is not None
        assert (len(sample.looked_xyxy), sample.origin, sample.size_wh) == (n_looked, "generic", (64, 48))
        assert len(sample.boxes_xyxy) == len(sample.class_ids)
        assert sample.read_image().shape == (48, 64, 3)


def test_pictures_that_say_nothing_to_the_student_are_left_out(tmp_path: Path) -> None:
    memory = filled(tmp_path)
    assert [sample_for(memory, picture, LabelMap(("dog",))) for picture in memory.pictures()] == [None, None]


def test_nothing_of_the_own_recording_is_replayed(tmp_path: Path) -> None:
    """A training frame of an earlier run may be a test frame of this one."""
    memory = filled(tmp_path)
    with new_store(tmp_path / "own") as store:
        assert len(replayed_samples(memory, store)) == 2
    with new_store(tmp_path / "same recording", source=OTHER) as store:
        assert replayed_samples(memory, store) == []
    with new_store(tmp_path / "copied frame") as store:
        add_frame(store, 1, "test")
        assert [s.class_ids.tolist() for s in replayed_samples(memory, store)] == [[0]]


def test_a_live_camera_replays_its_own_past(tmp_path: Path) -> None:
    live = replace(OTHER, kind="live", n_frames=None)
    add_dataset(tmp_path / "memory", dataset(tmp_path / "a", PERSON, CAR, source=live), origin="replay")
    memory = ReplayReservoir(tmp_path / "memory")
    with new_store(tmp_path / "b", source=live) as store:
        assert len(replayed_samples(memory, store)) == 2
        add_frame(store, 0)
        assert len(replayed_samples(memory, store)) == 1
