"""The comparison of exported labels with human boxes counts what a COCO tool takes for labels."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks.specialization.exported import measure_exported
from edge_autotuner.errors import EvaluationError
from support.runs.dataset_folders import add_frame, annotation, new_store


def test_labels_are_counted_by_split(tmp_path: Path) -> None:
    with new_store(tmp_path / "d") as store:
        store.use_annotations("f", teacher="t", min_score=0.3, uncertain_score=0.1)
        rows = (1, 2, 11, 22, 0.9, 0), (40, 2, 50, 22, 0.5, 0), (20, 2, 30, 22, 0.2, 0), (1, 2, 11, 22, 0.9, 1)
        for index, split in ((0, "train"), (1, "train"), (2, "test")):
            record = add_frame(store, index, split)
            store.add_annotation(record, annotation(*rows), teacher="t", fingerprint="f")
    places = ((1, 1), (2, 60))
    human = {
        "images": [{"id": 5, "frame_index": 0}, {"id": 6, "frame_index": 2}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{"id": i, "image_id": 5, "category_id": 1, "bbox": [x, 2, 10, 20]} for i, x in places],
    }
    (tmp_path / "gt.json").write_text(json.dumps(human))
    coco = tmp_path / "d" / "annotations.coco.json"
    found = measure_exported(coco, tmp_path / "gt.json", name="person", map_classes={})
    train, test = found["train"], found["test"]
    assert (train.n_frames, train.n_labels, train.precision, train.recall, train.n_below) == (1, 2, 0.5, 0.5, 0)
    assert (test.n_frames, test.n_labels, test.precision) == (1, 2, 0.0)
    assert math.isnan(test.recall)


def test_ground_truth_of_something_else(tmp_path: Path) -> None:
    with new_store(tmp_path / "d") as store:
        add_frame(store, 0)
    human = {"images": [{"id": 1, "frame_index": 9}], "categories": [{"id": 1, "name": "person"}], "annotations": []}
    (tmp_path / "gt.json").write_text(json.dumps(human))
    with pytest.raises(EvaluationError, match="names no frame"):
        measure_exported(tmp_path / "d/annotations.coco.json", tmp_path / "gt.json", name="person", map_classes={})
