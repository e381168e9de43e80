"""How annotated frames are divided, and what the student is told about one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataset_folders import add_frame, annotation, new_store
from edge_autotuner.config import RunConfig
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import NoLabelsFound
from edge_autotuner.pipeline.training_stage import make_sample, split_for_validation

EMPTY = ()
CERTAIN = (10, 10, 30, 30, 0.9, 1)
UNCERTAIN = (10, 10, 30, 30, 0.2, 1)


def store_of(folder: Path, labels: list[tuple[float, ...] | None]) -> DatasetStore:
    """Make a dataset with one training frame per label; () is a frame without boxes, None one without annotation."""
    store = new_store(folder)
    for index, row in enumerate(labels):
        record = add_frame(store, index)
        if row is not None:
            store.add_annotation(record, annotation(*([row] if row else [])), teacher="t", fingerprint="f")  # type: ignore[arg-type]
    test = add_frame(store, 90, "test")
    store.add_annotation(test, annotation(CERTAIN), teacher="t", fingerprint="f")
    return store


def config(val_fraction: float = 0.2, max_val_images: int = 60) -> RunConfig:
    return RunConfig.model_validate({"training": {"val_fraction": val_fraction, "max_val_images": max_val_images}})


def parts(store: DatasetStore, settings: RunConfig) -> tuple[list[int], list[int]]:
    training, validation = split_for_validation(store, "f", settings)
    return [record.index for record, _ in training], [record.index for record, _ in validation]


def test_the_last_labelled_frames_validate(tmp_path: Path) -> None:
    assert parts(store_of(tmp_path, [CERTAIN] * 10), config()) == (list(range(8)), [8, 9])


def test_the_cut_counts_frames_with_labels(tmp_path: Path) -> None:
    """Five frames with labels, of which one validates: the last, with the empty ones after it."""
    labels = [CERTAIN, EMPTY, CERTAIN, CERTAIN, EMPTY, CERTAIN, EMPTY, CERTAIN, EMPTY, UNCERTAIN]
    assert parts(store_of(tmp_path, labels), config()) == (list(range(7)), [7, 8, 9])


def test_validation_is_thinned_evenly_and_the_rest_is_not_trained_on(tmp_path: Path) -> None:
    store = store_of(tmp_path, [CERTAIN] * 20)
    assert parts(store, config(0.5, max_val_images=3)) == (list(range(10)), [10, 14, 19])
    assert parts(store, config(0.5, max_val_images=1)) == (list(range(10)), [10])


def test_two_labelled_frames_are_the_least(tmp_path: Path) -> None:
    assert parts(store_of(tmp_path / "two", [EMPTY, CERTAIN, CERTAIN]), config()) == ([0, 1], [2])
    expected = r"1 of 3 training frames have labels, at least 2 are needed: capture more, lower annotation.min_score"
    with pytest.raises(NoLabelsFound, match=expected):
        split_for_validation(store_of(tmp_path / "one", [UNCERTAIN, EMPTY, CERTAIN]), "f", config())
    with pytest.raises(NoLabelsFound, match="0 of 0 training frames"):
        split_for_validation(store_of(tmp_path / "none", []), "f", config())


def test_frames_that_the_teacher_has_not_seen_are_left_out(tmp_path: Path) -> None:
    assert parts(store_of(tmp_path, [None, CERTAIN, None, CERTAIN]), config()) == ([1], [3])
    with pytest.raises(NoLabelsFound, match="0 of 0 training frames"):
        split_for_validation(store_of(tmp_path / "b", [CERTAIN] * 3), "another fingerprint", config())


def test_a_sample_holds_objects_and_what_is_unknown(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    record = add_frame(store, 3)
    sample = make_sample(store, record, annotation(CERTAIN, (40, 5, 60, 20, 0.2, 0)), RunConfig().annotation)
    assert sample.size_wh == record.size_wh
    np.testing.assert_array_equal(sample.boxes_xyxy, [[10, 10, 30, 30]])
    assert sample.class_ids.tolist() == [1]
    np.testing.assert_array_equal(sample.ignored_xyxy, [[40, 5, 60, 20]])
    np.testing.assert_array_equal(sample.looked_xyxy, [[0, 0, 64, 48]])
    np.testing.assert_array_equal(sample.read_image(), store.read_image(record))


def test_a_sample_without_labels(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    sample = make_sample(store, add_frame(store, 3), annotation(), RunConfig().annotation)
    assert sample.boxes_xyxy.shape == (0, 4)
    assert sample.ignored_xyxy.shape == (0, 4)
    assert sample.class_ids.shape == (0,)
