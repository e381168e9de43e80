"""Folders that this program has filled with pictures are told from those of a camera."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_autotuner.dataset.replay import ReplayReservoir
from edge_autotuner.storage.own_folders import MARK_NAME, mark_if_empty, own_folder
from support.runs.dataset_folders import add_frame, new_store


def test_a_dataset_is_known_wherever_it_was_moved(tmp_path: Path) -> None:
    with new_store(tmp_path / "d") as store:
        add_frame(store, 0)
    moved = (tmp_path / "d").rename(tmp_path / "holidays")
    assert own_folder(moved) == moved
    assert own_folder(moved / "frames") == moved
    assert own_folder(moved / "backgrounds") == moved
    assert own_folder(moved / "frames" / "deeper") is None
    assert own_folder(tmp_path) is None


def test_a_reservoir_is_known(tmp_path: Path) -> None:
    reservoir = ReplayReservoir(tmp_path / "r")
    reservoir.offer([], offer_id="a", max_pictures=1, max_mb=1)
    assert own_folder(tmp_path / "r") == tmp_path / "r"
    assert own_folder(tmp_path / "r" / "pictures") == tmp_path / "r"


@pytest.mark.parametrize("content", [b"", b"{}\n", b'{"time": 1}\n', b"\xff\xd8"])
@pytest.mark.parametrize("name", ["journal.jsonl", "index.jsonl"])
def test_a_file_of_somebody_else_with_the_same_name_says_nothing(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert own_folder(tmp_path) is None
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    assert own_folder(tmp_path) is None


def test_only_an_empty_folder_is_marked(tmp_path: Path) -> None:
    for name in ("empty", "theirs"):
        (tmp_path / name).mkdir()
    (tmp_path / "theirs" / "1.jpg").write_bytes(b"")
    for name in ("empty", "theirs"):
        mark_if_empty(tmp_path / name)
    assert (tmp_path / "empty" / MARK_NAME).is_file()
    assert own_folder(tmp_path / "empty") == tmp_path / "empty"
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["1.jpg"]
    assert own_folder(tmp_path / "theirs") is None
