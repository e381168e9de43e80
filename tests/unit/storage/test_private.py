"""What is kept is its owner's, whatever the umask says and an earlier version left."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_autotuner.errors import StorageError
from edge_autotuner.storage import keep_private, make_private_file, make_private_folder
from support.machine.private_files import open_to_others


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def write_some(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "file").write_text("x")
    (folder / "file").write_text("x")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_process_that_keeps_private_data_creates_nothing_open(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    keep_private(folder, is_own=lambda _: True)
    write_some(folder)
    assert open_to_others(folder) == {}
    assert mode(folder / "inner" / "file") == 0o600


def test_the_group_may_read_where_that_is_wanted(tmp_path: Path) -> None:
    keep_private(tmp_path / "data", is_own=lambda _: True, for_group=True)
    write_some(tmp_path / "data")
    assert (mode(tmp_path / "data"), mode(tmp_path / "data" / "file")) == (0o750, 0o640)


def test_what_was_open_is_closed_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "data"
    folder.mkdir(0o755)
    write_some(folder)
    outside = tmp_path / "outside"
    outside.write_text("x")
    (folder / "link").symlink_to(outside)
    (folder / "nowhere").symlink_to(tmp_path / "missing")
    with caplog.at_level(logging.WARNING):
        make_private_folder(folder)
        make_private_folder(folder)
    assert open_to_others(folder) == {}
    assert mode(outside) == 0o666
    assert len(caplog.messages) == 1
    assert "had mode 755" in caplog.text
    assert "access to 4 files and folders" in caplog.text


def test_what_somebody_else_keeps_there_stays_open(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A node that is told to keep its things in a home directory must not lock everybody else out of it."""
    folder, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    for path in (folder, folder / "own", folder / "photos", elsewhere):
        path.mkdir(0o755)
        (path / "file").write_text("x")
    (folder / "own" / "link").symlink_to(elsewhere)
    (folder / "own-link").symlink_to(elsewhere)
    keep_private(folder, is_own=lambda path: path.name.startswith("own"))
    assert (mode(folder), mode(folder / "photos"), mode(folder / "photos" / "file")) == (0o755, 0o755, 0o666)
    assert (mode(folder / "own"), mode(folder / "own" / "file")) == (0o700, 0o600)
    assert (mode(elsewhere), mode(elsewhere / "file"), mode(folder / "file")) == (0o755, 0o666, 0o666)
    assert "also contains other files, e.g. file" in caplog.text
    assert "access to 2 files and folders" in caplog.text


def test_files_in_a_closed_folder_are_closed_too(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(0o700)
    (folder / "results.sqlite").write_text("x")
    make_private_folder(folder)
    assert open_to_others(folder) == {}


def test_a_link_to_the_folder_is_as_good_as_the_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(0o755)
    (tmp_path / "data").symlink_to(tmp_path / "real")
    write_some(tmp_path / "data")
    make_private_folder(tmp_path / "data")
    assert open_to_others(tmp_path / "real") == {}


def test_rights_that_cannot_be_changed_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / "data").mkdir()
    monkeypatch.setattr(Path, "chmod", refuse)
    make_private_folder(tmp_path / "data")
    assert "its permissions cannot be changed: Operation not permitted" in caplog.text


def test_a_file_with_the_name_of_the_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    for path in (tmp_path / "data", tmp_path / "data" / "below"):
        with pytest.raises(StorageError, match="choose"):
            make_private_folder(path)


def test_a_file_is_made_for_its_owner_and_never_emptied(tmp_path: Path) -> None:
    path = tmp_path / "file"
    make_private_file(path)
    assert mode(path) == 0o600
    path.write_text("x")
    make_private_file(path)
    assert path.read_text() == "x"
