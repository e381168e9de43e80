"""The derived files are what other tools expect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataset_folders import add_frame, annotation, new_store
from edge_autotuner.core import FakeClock
from edge_autotuner.dataset.store import EXPORT_EVERY


def read(folder: Path, name: str) -> dict[str, object]:
    return json.loads((folder / name).read_text())


def test_exact_content(tmp_path: Path) -> None:
    clock = FakeClock()
    with new_store(tmp_path, clock=clock) as store:
        train = add_frame(store, 4)
        add_frame(store, 9, "test", file_name="b/9.png")
        store.use_annotations("f1", teacher="zoom", min_score=0.3, uncertain_score=0.1)
        rows = (1, 2, 11, 22, 0.875, 1), (0, 0, 3, 4.5, 0.25, 0)
        store.add_annotation(train, annotation(*rows), teacher="zoom", fingerprint="f1")
        store.set_note("capture_complete", True)
        clock.advance(60)
        store.export()
    coco = read(tmp_path, "annotations.coco.json")
    assert coco["categories"] == [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}]
    assert coco["images"] == [
        {
            "id": 1,
            "file_name": "frames/train_00000004.png",
            "width": 64,
            "height": 48,
            "frame_index": 4,
            "split": "train",
            "time_s": 0.4,
            "date_captured": None,
            "source_file_name": None,
            "annotated": True,
            "looked_xyxy": [[0, 0, 64, 48]],
        },
        {
            "id": 2,
            "file_name": "frames/test_00000009.png",
            "width": 64,
            "height": 48,
            "frame_index": 9,
            "split": "test",
            "time_s": 0.9,
            "date_captured": None,
            "source_file_name": "b/9.png",
            "annotated": False,
            "looked_xyxy": [],
        },
    ]
    common = {"image_id": 1, "iscrowd": 0}
    assert coco["annotations"] == [
        common | {"id": 1, "category_id": 2, "bbox": [1, 2, 10, 20], "area": 200, "score": 0.875, "uncertain": False},
        common | {"id": 2, "category_id": 1, "bbox": [0, 0, 3, 4.5], "area": 13.5, "score": 0.25, "uncertain": True},
    ]
    manifest = read(tmp_path, "manifest.json")
    assert manifest["created_at"] == "2026-01-01T00:00:00+00:00"
    assert manifest["updated_at"] == "2026-01-01T00:01:00+00:00"
    assert manifest["n_frames"] == {"train": 1, "test": 1}
    assert manifest["annotation"] == {
        "teacher": "zoom",
        "fingerprint": "f1",
        "min_score": 0.3,
        "uncertain_score": 0.1,
        "n_frames": 1,
    }
    assert manifest["notes"] == {"capture_complete": True}
    assert manifest["pictures"][0] == {  # type: ignore[index]
        "file": train.file,
        "sha256": train.sha256,
        "split": "train",
        "frame_index": 4,
    }


def test_without_annotations(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        add_frame(store, 0)
        store.export()
    assert read(tmp_path, "manifest.json")["annotation"] is None
    assert read(tmp_path, "annotations.coco.json")["annotations"] == []


@pytest.mark.parametrize(("n_frames", "n_exported"), [(EXPORT_EVERY - 1, None), (EXPORT_EVERY + 1, EXPORT_EVERY)])
def test_export_happens_every_fifty_additions(tmp_path: Path, n_frames: int, n_exported: int | None) -> None:
    with new_store(tmp_path) as store:
        for index in range(n_frames):
            add_frame(store, index)
    path = tmp_path / "manifest.json"
    assert (read(tmp_path, "manifest.json")["n_frames"]["train"] if path.exists() else None) == n_exported  # type: ignore[index]
