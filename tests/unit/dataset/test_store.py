"""The store gives back what was added, continues, and refuses what does not belong together."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_autotuner.core import CaptureEvent, Frame, LabelMap
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.errors import DatasetError
from support.cameras.frames import frame_of
from support.runs.dataset_folders import LABELS, SOURCE, add_frame, annotation, new_store, picture


def test_frame_comes_back_after_reopening(tmp_path: Path) -> None:
    with new_store(tmp_path / "d") as store:
        record = add_frame(store, 7)
    assert record == FrameRecord(
        file="frames/train_00000007.png",
        split="train",
        index=7,
        time_s=0.7,
        size_wh=(64, 48),
        sha256=hashlib.sha256((tmp_path / "d/frames/train_00000007.png").read_bytes()).hexdigest(),
        file_name=None,
        regions_xyxy=((1.0, 2.0, 30.5, 40.25),),
        motion_fraction=0.25,
        background=None,
        reason="moves",
    )
    again = DatasetStore.open(tmp_path / "d")
    assert again.frames() == [record]
    assert (again.source, again.labels, dict(again.settings)) == (SOURCE, LABELS, {"step": 2})
    np.testing.assert_array_equal(again.read_image(record), picture(7))
    np.testing.assert_array_equal(record.regions, np.array([[1, 2, 30.5, 40.25]], np.float32))


def test_empty_dataset(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        assert store.frames() == []
        assert store.note("nothing") is None
        assert store.fingerprint is None
        assert not store.has_frame(0, "train")
        store.export()
    assert json.loads((tmp_path / "annotations.coco.json").read_text())["images"] == []
    assert DatasetStore.open(tmp_path).frames("test") == []


def test_frames_are_sorted_and_split(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        for index, split in ((9, "train"), (3, "train"), (50, "test"), (40, "test")):
            add_frame(store, index, split)
        assert [(f.split, f.index) for f in store.frames()] == [
            ("test", 40),
            ("test", 50),
            ("train", 3),
            ("train", 9),
        ]
        assert [f.index for f in store.frames("train")] == [3, 9]
        assert store.has_frame(3, "train")
        assert not store.has_frame(3, "test")


def test_adding_twice_returns_the_first(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        first = add_frame(store, 1)
        size = (tmp_path / "journal.jsonl").stat().st_size
        assert add_frame(store, 1, image=picture(99), reason="again") is first
        assert (tmp_path / "journal.jsonl").stat().st_size == size
        np.testing.assert_array_equal(store.read_image(first), picture(1))


def test_known_frame_does_not_decode_colour_again(tmp_path: Path) -> None:
    def explode() -> np.ndarray:
        raise AssertionError("colour was decoded")

    with new_store(tmp_path) as store:
        first = add_frame(store, 1)
        frame = Frame(1, 0.1, np.zeros((48, 64), np.uint8), explode)
        regions = np.zeros((0, 4), np.float32)
        assert (
            store.add_frame(frame, split="train", regions_xyxy=regions, motion_fraction=0, background=None, reason="")
            == first
        )


def test_jpg_is_smaller_and_close(tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(picture(2), (0, 0), 4)
    with new_store(tmp_path) as store:
        record = add_frame(store, 2, image=smooth, picture_format="jpg")
        image = store.read_image(record)
    assert record.file == "frames/train_00000002.jpg"
    assert np.abs(image.astype(int) - smooth).mean() < 3


def test_original_bytes_are_copied(tmp_path: Path) -> None:
    original = tmp_path / "IMG 1.JPG"
    cv2.imwrite(str(original), picture(3))
    with new_store(tmp_path / "d") as store:
        record = add_frame(store, 3, original=original, file_name="cam/IMG 1.JPG")
        assert record.file == "frames/train_00000003.jpg"
        assert record.file_name == "cam/IMG 1.JPG"
        assert (tmp_path / "d" / record.file).read_bytes() == original.read_bytes()
        with pytest.raises(DatasetError, match=r"cannot read .*gone.png"):
            add_frame(store, 4, original=tmp_path / "gone.png")
        assert not store.has_frame(4, "train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"split": "val"}, "split must be one of train, test", id="split"),
        pytest.param({"motion_fraction": 1.5}, "motion_fraction must be in 0..1", id="fraction"),
        pytest.param({"background": "backgrounds/000000.png"}, "add it first", id="background"),
        pytest.param({"picture_format": "gif"}, "picture_format must be jpg or png", id="format"),
        pytest.param({"regions_xyxy": np.zeros((2, 3))}, r"shape \(N, 4\)", id="regions"),
    ],
)
def test_wrong_arguments_change_nothing(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with new_store(tmp_path) as store:
        before = (tmp_path / "journal.jsonl").read_bytes()
        with pytest.raises(ValueError, match=message):
            add_frame(store, 0, **changes)
        assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_backgrounds_are_stored_once(tmp_path: Path) -> None:
    a, b = picture(1)[:, :, 0], picture(2)[:, :, 0]
    with new_store(tmp_path) as store:
        assert store.add_background(a) == "backgrounds/000000.png"
        assert store.add_background(a.copy()) == "backgrounds/000000.png"
        assert store.add_background(b) == "backgrounds/000001.png"
        record = add_frame(store, 1, background="backgrounds/000001.png")
    again = DatasetStore.open(tmp_path)
    np.testing.assert_array_equal(again.read_background(again.frames()[0].background or ""), b)
    assert record.background == "backgrounds/000001.png"
    with pytest.raises(DatasetError, match="has no background"):
        again.read_background("backgrounds/000002.png")
    with again:
        assert again.add_background(a) == "backgrounds/000000.png"


def test_changed_background_is_refused(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        name = store.add_background(picture(1)[:, :, 0])
        cv2.imwrite(str(tmp_path / name), picture(2)[:, :, 0])
        with pytest.raises(DatasetError, match="was modified after it was stored"):
            store.read_background(name)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(lambda path: path.unlink(), "cannot read .*No such file", id="missing"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-9]), "was modified", id="cut short"),
    ],
)
def test_damaged_picture_is_named(tmp_path: Path, damage: object, message: str) -> None:
    with new_store(tmp_path) as store:
        record = add_frame(store, 0)
        damage(tmp_path / record.file)  # type: ignore[operator]
        with pytest.raises(DatasetError, match=message) as caught:
            store.read_image(record)
        assert "train_00000000.png" in str(caught.value)


def test_picture_that_is_none_or_of_another_size(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        record = add_frame(store, 0)
        digest = hashlib.sha256(b"text").hexdigest()
        (tmp_path / record.file).write_bytes(b"text")
        with pytest.raises(DatasetError, match="not a readable picture"):
            store.read_image(replace(record, sha256=digest))
        other = add_frame(store, 1)
        with pytest.raises(DatasetError, match=r"has 64x48 pixels, expected \(10, 10\)"):
            store.read_image(replace(other, size_wh=(10, 10)))


def test_annotations_and_fingerprints(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        a, b = add_frame(store, 0), add_frame(store, 1)
        store.add_annotation(a, annotation((1, 2, 3, 4, 0.5, 1)), teacher="zoom", fingerprint="f1")
        store.add_annotation(a, annotation((5, 6, 7, 8, 0.25, 0)), teacher="zoom", fingerprint="f1")
        store.add_annotation(b, annotation(), teacher="femto", fingerprint="f2")
    again = DatasetStore.open(tmp_path)
    assert again.fingerprint == "f1", "an opinion that is only stored does not become the labels"
    assert again.annotation_of(b) is None
    with again:
        again.use_annotations("f2", teacher="femto")
    again = DatasetStore.open(tmp_path)
    newest = again.annotation_of(a, "f1")
    assert newest is not None
    np.testing.assert_array_equal(newest.detections.boxes_xyxy, np.array([[5, 6, 7, 8]], np.float32))
    assert (newest.detections.scores.tolist(), newest.detections.class_ids.tolist()) == ([0.25], [0])
    assert (newest.n_calls, newest.n_pixels) == (5, 15360)
    assert again.fingerprint == "f2"
    assert again.annotation_of(a) is None, "teachers must not be mixed"
    empty = again.annotation_of(b)
    assert empty is not None
    assert len(empty.detections) == 0
    assert again.annotation_of(b, "f3") is None


def test_an_older_fingerprint_can_be_used_again(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        record = add_frame(store, 0)
        store.add_annotation(record, annotation((1, 2, 3, 4, 0.5, 1)), teacher="zoom", fingerprint="f1")
        store.add_annotation(record, annotation(), teacher="femto", fingerprint="f2")
        store.use_annotations("f1", teacher="zoom", min_score=0.3, uncertain_score=0.1)
        size = (tmp_path / "journal.jsonl").stat().st_size
        store.use_annotations("f1", teacher="zoom", min_score=0.3, uncertain_score=0.1)
        assert (tmp_path / "journal.jsonl").stat().st_size == size
    found = DatasetStore.open(tmp_path).annotation_of(record)
    assert found is not None
    assert len(found.detections) == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param((1, 2, 3, 4, 0.5, 2), r"class_ids must be in 0..1, got \[2\]", id="class"),
        pytest.param((1, 2, 3, 4, float("nan"), 0), "Out of range float", id="not a number"),
    ],
)
def test_wrong_annotations(tmp_path: Path, row: tuple[float, ...], message: str) -> None:
    with new_store(tmp_path) as store:
        record = add_frame(store, 0)
        with pytest.raises(ValueError, match=message):
            store.add_annotation(record, annotation(row), teacher="t", fingerprint="f")  # type: ignore[arg-type]
        assert store.annotation_of(record, "f") is None
        with pytest.raises(ValueError, match="is not in the dataset"):
            store.add_annotation(replace(record, index=5), annotation(), teacher="t", fingerprint="f")


def test_notes(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        store.set_note("capture", {"n": 1})
        store.set_note("capture", {"n": 2, "done": (1, None)})
        assert store.note("capture") == {"n": 2, "done": [1, None]}
    assert DatasetStore.open(tmp_path).note("capture") == {"n": 2, "done": [1, None]}


def test_create_continues_the_same_dataset(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        add_frame(store, 0)
    renamed = replace(SOURCE, name="moved.mp4")
    with new_store(tmp_path, source=renamed) as again:
        add_frame(again, 1)
        assert [f.index for f in again.frames()] == [0, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"source": replace(SOURCE, name="b.mp4", sha256="00")}, "source was gate.mp4, now b.mp4", id="src"
        ),
        pytest.param({"labels": LabelMap(("person",))}, "classes were person, car, now person", id="classes"),
        pytest.param({"settings": {"step": 3}}, "step was 2, now 3", id="setting"),
        pytest.param({"settings": {"a": {"b": [1]}, "step": 2}}, r"a.b was None, now \[1\]", id="nested setting"),
        pytest.param({"settings": {str(i): i for i in range(9)}}, "and 5 more settings", id="many settings"),
    ],
)
def test_create_refuses_another_dataset(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with new_store(tmp_path) as store:
        add_frame(store, 0)
    before = (tmp_path / "journal.jsonl").read_bytes()
    with pytest.raises(DatasetError, match=message) as caught:
        new_store(tmp_path, **changes)
    assert "choose another folder" in str(caught.value)
    assert (tmp_path / "journal.jsonl").read_bytes() == before
    new_store(tmp_path).close()  # the lock is free


def test_a_dataset_without_training_frames_is_begun_anew(tmp_path: Path) -> None:
    """An attempt without result does not stand in the way of the next one, which may have other settings."""
    with new_store(tmp_path) as store:
        add_frame(store, 0, "test")
        store.add_background(np.zeros((8, 8), np.uint8))
    with new_store(tmp_path, settings={"step": 3}) as store:
        assert store.frames() == []
        assert dict(store.settings) == {"step": 3}
        assert list((tmp_path / "frames").iterdir()) == list((tmp_path / "backgrounds").iterdir()) == []
        add_frame(store, 5)
    assert [frame.index for frame in DatasetStore.open(tmp_path).frames()] == [5]


def test_foreign_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("")
    with pytest.raises(DatasetError, match=r"contains other files \(holiday.jpg\)"):
        new_store(tmp_path)
    with new_store(tmp_path / "d") as store:
        add_frame(store, 0)
    (tmp_path / "d/journal.jsonl").unlink()
    with pytest.raises(DatasetError, match=r"pictures without journal\.jsonl"):
        new_store(tmp_path / "d")


def test_open_without_a_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"is not a dataset .* run `edge-autotuner capture` first"):
        DatasetStore.open(tmp_path)
    (tmp_path / "journal.jsonl").write_bytes(b'{"crc32":')
    with pytest.raises(DatasetError, match="is empty; run `edge-autotuner capture` again"):
        DatasetStore.open(tmp_path)
    with new_store(tmp_path) as store:  # killed before the first record: goes on
        add_frame(store, 0)
    assert len(DatasetStore.open(tmp_path).frames()) == 1


def test_unknown_format_and_foreign_journal(tmp_path: Path) -> None:
    from edge_autotuner.storage.journal import encode_line

    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(encode_line({"kind": "dataset", "format_version": 2}))
    with pytest.raises(DatasetError, match=r"jsonl:1: the dataset has format 2, but this version reads format 1"):
        DatasetStore.open(tmp_path)
    journal.write_bytes(encode_line({"kind": "note", "key": "a", "value": 1}))
    with pytest.raises(DatasetError, match=r"jsonl:1: unexpected record of kind 'note'"):
        DatasetStore.open(tmp_path)


def test_record_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    from edge_autotuner.storage.journal import encode_line

    with new_store(tmp_path) as store:
        record = add_frame(store, 0)
    evil = record.to_json() | {"file": "frames/../../secret.png"}
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(encode_line({"kind": "frame", "frame": evil}))
    with pytest.raises(DatasetError, match=r"jsonl:3: .*is not a picture of a dataset"):
        DatasetStore.open(tmp_path)


def test_second_writer_is_refused_but_reads(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        add_frame(store, 0)
        reader = DatasetStore.open(tmp_path)
        assert len(reader.frames()) == 1
        with pytest.raises(DatasetError, match="is being written by another run"):
            reader.set_note("a", 1)
        with pytest.raises(DatasetError, match="is being written by another run"):
            new_store(tmp_path)
    reader.set_note("a", 1)
    reader.close()


def test_a_late_writer_first_reads_what_others_added(tmp_path: Path) -> None:
    new_store(tmp_path).close()
    early = DatasetStore.open(tmp_path)
    with DatasetStore.open(tmp_path) as other:
        add_frame(other, 0)
    add_frame(early, 1)
    early.close()
    assert [f.index for f in DatasetStore.open(tmp_path).frames()] == [0, 1]


def test_damage_is_reported_with_its_line_and_leaves_the_lock_free(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        store.set_note("a", 1)
    early = DatasetStore.open(tmp_path)
    journal = tmp_path / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b"oops\n" + whole)
    for attempt in (lambda: new_store(tmp_path), lambda: early.set_note("b", 2)):
        with pytest.raises(DatasetError, match=r"journal\.jsonl:3: this line is damaged"):
            attempt()
    journal.write_bytes(whole)
    new_store(tmp_path).close()


def test_reading_works_in_a_folder_without_write_access(tmp_path: Path) -> None:
    with new_store(tmp_path / "d") as store:
        record = add_frame(store, 0)
    shutil.copytree(tmp_path / "d", tmp_path / "copy", ignore=shutil.ignore_patterns(".lock"))
    reader = DatasetStore.open(tmp_path / "copy")
    reader.read_image(record)
    assert ".lock" not in os.listdir(tmp_path / "copy")


def test_leftovers_of_a_kill_are_removed(tmp_path: Path) -> None:
    new_store(tmp_path).close()
    leftover = tmp_path / "frames/.train_00000001.png.1-2.tmp"
    leftover.write_bytes(b"half")
    new_store(tmp_path).close()
    assert not leftover.exists()


def test_a_picture_without_record_is_replaced(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        (tmp_path / "frames/train_00000001.png").write_bytes(b"of a killed run")
        record = add_frame(store, 1)
        np.testing.assert_array_equal(store.read_image(record), picture(1))


def test_wall_time_and_sent_regions_come_back(tmp_path: Path) -> None:
    at = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    regions = np.array([[0, 0, 9, 9], [20, 20, 30.5, 40]], np.float32)
    with new_store(tmp_path / "d") as store:
        frame = replace(frame_of(picture(), index=3, time_s=0.3), captured_at=at)
        store.add_frame(
            frame,
            split="train",
            regions_xyxy=regions,
            motion_fraction=0.1,
            background=None,
            reason="moves",
            sent_xyxy=regions[1:],
        )
        add_frame(store, 4)
    live, recorded = DatasetStore.open(tmp_path / "d").frames()
    assert datetime.fromisoformat(live.captured_at or "") == at
    np.testing.assert_array_equal(live.sent, regions[1:])
    np.testing.assert_array_equal(live.unsent, regions[:1])
    assert recorded.captured_at is None
    np.testing.assert_array_equal(recorded.sent, recorded.regions)
    assert len(recorded.unsent) == 0


def test_events_come_back_in_order_and_are_exported(tmp_path: Path) -> None:
    events = [
        CaptureEvent("stalled", 1.25, datetime(2026, 3, 1, tzinfo=UTC), "nothing for 10 s; next attempt in 1 s"),
        CaptureEvent("scene changed", 2.5, None, "brighter"),
    ]
    with new_store(tmp_path / "d") as store:
        for event in events:
            store.add_event(event)
        store.export()
    assert DatasetStore.open(tmp_path / "d").events() == events
    manifest = json.loads((tmp_path / "d/manifest.json").read_text())
    assert [event["kind"] for event in manifest["events"]] == ["stalled", "scene changed"]
    assert manifest["events"][1]["captured_at"] is None


def test_unknown_event_is_refused(tmp_path: Path) -> None:
    with new_store(tmp_path / "d") as store, pytest.raises(DatasetError, match="event must be one of connected"):
        store.add_event(CaptureEvent("exploded", 0.0, None, ""))  # type: ignore[arg-type]
