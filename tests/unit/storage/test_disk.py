"""The reserve of a disk, and what a folder takes of it."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_autotuner.errors import StorageError
from edge_autotuner.storage import DiskReserve, written_bytes

Usage = namedtuple("Usage", "total used free")


def test_room_is_what_is_free_beside_the_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000, 0, 150))
    reserve = DiskReserve(tmp_path, 100)
    assert [reserve.has_room(n) for n in (0, 50, 51)] == [True, True, False]
    reserve.require(50)
    with pytest.raises(StorageError, match="no room for 51 bytes besides its reserve of 100; free some space"):
        reserve.require(51)


@pytest.mark.parametrize(("n_names", "n_free", "has_room"), [(5000, 999, False), (5000, 1000, True), (0, 0, True)])
def test_a_disk_without_names_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_names: int, n_free: int, has_room: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000, 0, 1000))
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_files=n_names, f_favail=n_free))
    assert DiskReserve(tmp_path, 0).has_room() == has_room


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot read the free space"):
        DiskReserve(tmp_path / "gone", 0).has_room()


def test_a_second_name_takes_no_room(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"x" * 100_000)
    folder = tmp_path / "folder" / "inner"
    folder.mkdir(parents=True)
    assert written_bytes(tmp_path / "folder") == 0
    os.link(tmp_path / "elsewhere", folder / "linked")
    assert written_bytes(tmp_path / "folder") == 0
    (folder / "own").write_bytes(os.urandom(100_000))
    os.sync()
    assert 100_000 <= written_bytes(tmp_path / "folder") < 200_000
    (folder / "nowhere").symlink_to(tmp_path / "missing")
    assert written_bytes(tmp_path / "gone") == 0
