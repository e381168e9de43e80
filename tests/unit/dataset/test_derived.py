"""Files for other tools: what somebody changes in one is neither used nor lost, and never without a word."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_autotuner.dataset import DatasetStore
from edge_autotuner.dataset.derived_files import is_edited, made_from_bytes, owner_of, write_derived
from edge_autotuner.dataset.state import AnnotationRun
from edge_autotuner.errors import DatasetError
from support.runs.dataset_folders import add_frame, annotation, new_store

NAMES = ["annotations.coco.json", "manifest.json", "training.coco.json"]


def labelled(folder: Path) -> Path:
    with new_store(folder) as store:
        record = add_frame(store, 0)
        store.use_annotations("f", teacher="t", min_score=0.3, uncertain_score=0.1)
        store.add_annotation(record, annotation((1, 2, 11, 22, 0.875, 1)), teacher="t", fingerprint="f")
        found = store.annotation_of(record)
        store.export_training([(record, found, "val")], AnnotationRun("t", "f", 0.3, 0.1))
    return folder


def without_boxes(path: Path) -> None:
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**values, "annotations": [], "pictures": []}), encoding="utf-8")


def one_number(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"64", b"65", 1))


def another_hash(path: Path) -> None:
    values = json.loads(path.read_text(encoding="utf-8"))
    values["info"]["sha256"] = "0" * 64
    path.write_text(json.dumps(values), encoding="utf-8")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


EDITS: list[Callable[[Path], object]] = [
    without_boxes,
    one_number,
    another_hash,
    a_folder,
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"{}"),
    lambda path: path.write_bytes(path.read_bytes() + b" "),
    lambda path: path.write_bytes(b"\xff" * 100),
]


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("name", NAMES)
def test_nobody_goes_on_with_a_file_that_somebody_changed(
    tmp_path: Path, name: str, edit: Callable[[Path], object]
) -> None:
    dataset = labelled(tmp_path / "d")
    path = dataset / name
    edit(path)
    for start in (lambda: DatasetStore.open(dataset), lambda: new_store(dataset)):
        with pytest.raises(DatasetError, match=rf"{name} was edited.*Move the file"):
            start()
    assert path.exists()
    path.rename(tmp_path / "moved")
    with new_store(dataset) as store:
        add_frame(store, 1)
    assert path.exists() == (name != "training.coco.json"), "which only a training writes"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_gone_or_as_it_was_is_fine(tmp_path: Path, name: str) -> None:
    path = labelled(tmp_path) / name
    assert len(DatasetStore.open(tmp_path).frames()) == 1
    path.unlink()
    assert len(DatasetStore.open(tmp_path).frames()) == 1


def test_the_file_of_another_dataset_counts_as_changed(tmp_path: Path) -> None:
    labelled(tmp_path / "a")
    other = new_store(tmp_path / "b", settings={"step": 3}, source=DatasetStore.open(tmp_path / "a").source)
    other.close()
    assert owner_of(DatasetStore.open(tmp_path / "a")._files.header) == owner_of(other._files.header), (
        "the same camera at the same moment"
    )
    with new_store(tmp_path / "c", labels=DatasetStore.open(tmp_path / "a").labels.__class__(("bus",))) as third:
        add_frame(third, 0)
    (tmp_path / "c/annotations.coco.json").write_bytes((tmp_path / "a/annotations.coco.json").read_bytes())
    with pytest.raises(DatasetError, match="was edited"):
        DatasetStore.open(tmp_path / "c")


def test_what_is_changed_while_the_dataset_grows_is_kept_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with new_store(labelled(tmp_path)) as store, caplog.at_level(logging.WARNING):
        for index in (1, 2):
            (tmp_path / "annotations.coco.json").write_text(f"mine {index}")
            add_frame(store, index)
            store.export()
    assert (tmp_path / "annotations.coco.edited-1.json").read_text() == "mine 1"
    assert (tmp_path / "annotations.coco.edited-2.json").read_text() == "mine 2"
    assert caplog.text.count("kept as annotations.coco.edited-") == 2
    assert len(json.loads((tmp_path / "annotations.coco.json").read_text())["images"]) == 3


def test_files_of_versions_without_a_hash_are_kept_aside_once(tmp_path: Path) -> None:
    old = '{"info":{"description":"labels of a teacher model, not of a human","version":"1"},"images":[]}'
    path = labelled(tmp_path) / "annotations.coco.json"
    path.write_text(old)
    with new_store(tmp_path) as store:
        add_frame(store, 1)
    assert (tmp_path / "annotations.coco.edited-1.json").read_text() == old
    assert not is_edited(path, owner=owner_of(DatasetStore.open(tmp_path)._files.header))


@pytest.mark.parametrize("indent", [None, 2])
def test_a_file_knows_its_hash_and_its_journal(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "x.json"
    write_derived(path, {"a": "ä", "info": {"b": 1}}, owner="o", journal_bytes=7, indent=indent)
    values = json.loads(path.read_text(encoding="utf-8"))
    assert values["a"] == "ä"
    assert list(values["info"]) == ["sha256", "journal_bytes", "b"]
    assert made_from_bytes(path) == 7
    assert not is_edited(path, owner="o")
    assert is_edited(path, owner="p")
    assert made_from_bytes(tmp_path / "none") is None
