"""The derived files are what other tools expect."""

from __future__ import annotations

import json
from pathlib import Path

import faster_coco_eval
import numpy as np
import pytest

from edge_autotuner.annotation import split_labels
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import FakeClock, LabelMap
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.dataset.coco_export import build_coco
from edge_autotuner.dataset.derived_files import EXPORT_EVERY
from edge_autotuner.dataset.state import AnnotationRun
from support.runs.dataset_folders import add_frame, annotation, new_store


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
    assert coco["annotations"] == [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 2,
            "bbox": [1, 2, 10, 20],
            "area": 200,
            "segmentation": [[1, 2, 1, 22, 11, 22, 11, 2]],
            "iscrowd": 0,
            "ignore": 0,
            "score": 0.875,
            "uncertain": False,
        },
        {
            "id": 2,
            "image_id": 1,
            "category_id": 1,
            "bbox": [0, 0, 3, 4.5],
            "area": 13.5,
            "segmentation": [[0, 0, 0, 4.5, 3, 4.5, 3, 0]],
            "iscrowd": 1,
            "ignore": 1,
            "score": 0.25,
            "uncertain": True,
        },
    ]
    info = coco["info"]
    assert isinstance(info, dict)
    assert [info[key] for key in ("teacher", "fingerprint", "min_score", "uncertain_score")] == ["zoom", "f1", 0.3, 0.1]
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


@pytest.mark.parametrize(("n_frames", "n_exported"), [(EXPORT_EVERY - 1, 0), (EXPORT_EVERY + 1, EXPORT_EVERY)])
def test_export_happens_every_fifty_additions(tmp_path: Path, n_frames: int, n_exported: int) -> None:
    path = tmp_path / "manifest.json"
    with new_store(tmp_path) as store:
        for index in range(n_frames):
            add_frame(store, index)
        assert (len(read(tmp_path, "manifest.json")["pictures"]) if path.exists() else 0) == n_exported  # type: ignore[arg-type]


class ItEnded(Exception):
    """Stands for whatever ends the work."""


@pytest.mark.parametrize("error", [None, ItEnded, KeyboardInterrupt])
@pytest.mark.parametrize("n_frames", [1, EXPORT_EVERY + 7])
def test_at_every_end_the_files_have_what_the_journal_has(
    tmp_path: Path, n_frames: int, error: type[BaseException] | None
) -> None:
    def work() -> None:
        with new_store(tmp_path) as store:
            for index in range(n_frames):
                add_frame(store, index)
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(error):
            work()
    assert len(read(tmp_path, "annotations.coco.json")["images"]) == n_frames  # type: ignore[arg-type]
    assert len(read(tmp_path, "manifest.json")["pictures"]) == n_frames  # type: ignore[arg-type]


def test_what_a_kill_left_out_is_added_by_the_next_writer(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        add_frame(store, 0)
    killed = DatasetStore.open(tmp_path)
    add_frame(killed, 1)
    killed._files.release()  # what the kernel does
    with DatasetStore.open(tmp_path) as store:
        assert len(read(tmp_path, "annotations.coco.json")["images"]) == 1  # type: ignore[arg-type]
        store.add_background(np.zeros((48, 64), np.uint8))
    assert len(read(tmp_path, "annotations.coco.json")["images"]) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["annotations.coco.json", "manifest.json"])
def test_a_reader_writes_what_is_missing_unless_another_command_does(tmp_path: Path, name: str) -> None:
    with new_store(tmp_path) as store:
        add_frame(store, 0)
    before = (tmp_path / name).read_bytes()
    reader = DatasetStore.open(tmp_path)
    reader.refresh()
    assert not reader._files.is_writing, "nothing is to be done, and others may write"
    (tmp_path / name).unlink()
    with DatasetStore.open(tmp_path) as writer:
        add_frame(writer, 0)  # holds the lock
        reader.refresh()
        assert not (tmp_path / name).exists()
    assert json.loads((tmp_path / name).read_bytes()).keys() == json.loads(before).keys()
    (tmp_path / name).unlink()
    with reader:
        reader.refresh()
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("n_frames", [1, EXPORT_EVERY + 7])
def test_an_opinion_that_is_only_stored_is_never_exported(tmp_path: Path, n_frames: int) -> None:
    with new_store(tmp_path) as store:
        records = [add_frame(store, index) for index in range(n_frames)]
        for record in records:
            store.add_annotation(record, annotation((1, 2, 11, 22, 0.9, 1)), teacher="t", fingerprint="labels")
        store.use_annotations("labels", teacher="t", min_score=0.3, uncertain_score=0.1)
        for record in records:
            two = annotation((1, 2, 11, 22, 0.2, 0), (0, 0, 5, 5, 0.9, 0))
            store.add_annotation(record, two, teacher="t + student", fingerprint="second look")
    coco = read(tmp_path, "annotations.coco.json")
    assert [(a["category_id"], a["score"], a["uncertain"]) for a in coco["annotations"]] == [(2, 0.9, False)] * n_frames  # type: ignore[attr-defined]
    assert read(tmp_path, "manifest.json")["annotation"]["fingerprint"] == "labels"  # type: ignore[index]


@pytest.mark.parametrize(
    ("uncertain_score", "rows", "expected"),
    [
        pytest.param(0.1, [], [], id="no box"),
        pytest.param(0.1, [0.3], [(0.3, False)], id="the threshold itself"),
        pytest.param(0.1, [0.29999998], [(0.29999998, True)], id="just below, which is for boxes made uncertain"),
        pytest.param(0.3, [0.29999998], [(0.29999998, True)], id="made uncertain, and no band"),
        pytest.param(0.1, [0.9, 0.1, 0.05], [(0.9, False), (0.1, True)], id="what lies below both is left out"),
    ],
)
def test_boxes_are_labels_or_uncertain_as_in_a_training(
    uncertain_score: float, rows: list[float], expected: list[tuple[float, bool]]
) -> None:
    found = annotation(*[(1, 2, 11, 22, score, 1) for score in rows])
    run = AnnotationRun("t", "f", 0.3, uncertain_score)
    coco = build_coco([(a_record(), found, "train")], LabelMap(("person", "car")), run)
    assert [(round(a["score"], 8), a["uncertain"]) for a in coco["annotations"]] == expected
    labels = split_labels(found, AnnotationConfig(min_score=0.3, uncertain_score=uncertain_score))
    assert sum(not a["uncertain"] for a in coco["annotations"]) == len(labels.objects)
    assert sum(a["uncertain"] for a in coco["annotations"]) == len(labels.ignored_xyxy)


def test_masks_and_scores_of_coco_tools_work(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        record = add_frame(store, 0)
        store.use_annotations("f", teacher="t", min_score=0.3, uncertain_score=0.1)
        rows = (1, 2, 11, 22, 0.875, 1), (40, 20, 43, 24, 0.25, 1)
        store.add_annotation(record, annotation(*rows), teacher="t", fingerprint="f")
    coco = faster_coco_eval.COCO(str(tmp_path / "annotations.coco.json"))
    assert [int(coco.annToMask(one).sum()) for one in coco.anns.values()] == [200, 12]
    found = coco.loadRes([{"image_id": 1, "category_id": 2, "bbox": [1, 2, 10, 20], "score": 0.5}])
    for kind in ("bbox", "segm"):
        scores = faster_coco_eval.COCOeval_faster(coco, found, kind)
        scores.evaluate()
        scores.accumulate()
        scores.summarize()
        assert scores.stats[0] == 1, "what is uncertain is not missed"


def a_record() -> FrameRecord:
    return FrameRecord("frames/train_00000000.png", "train", 0, 0.0, (64, 48), "0" * 64, None, (), 0.0, None, "moves")
