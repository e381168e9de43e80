"""A file system without locks is named for what it lacks, and nobody else asks for a lock."""

from __future__ import annotations

import ast
import errno
import fcntl
import os
from pathlib import Path

import pytest

import edge_autotuner
from edge_autotuner.errors import DatasetError, StorageError
from edge_autotuner.storage.lock import FolderLock, lock_file
from support.runs.cli_runs import run_cli


def refusing(code: int) -> object:
    def flock(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    return flock


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(code))
    n_open = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StorageError) as caught:
        FolderLock(tmp_path)
    assert f"the file system of {tmp_path} cannot lock files ({errno.errorcode[code]})" in str(caught.value)
    assert "choose a folder on a local disk" in str(caught.value)
    assert len(os.listdir("/proc/self/fd")) == n_open


def test_a_lock_of_somebody_else_is_no_missing_lock(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(DatasetError, match="is being written by another run"):
        FolderLock(tmp_path)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()


def test_another_error_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(errno.EIO))
    with pytest.raises(StorageError, match="check the disk"):
        FolderLock(tmp_path)
    with pytest.raises(OSError, match="Input/output"):
        lock_file(0, fcntl.LOCK_EX, tmp_path / "x")


def test_the_command_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(errno.ENOLCK))
    monkeypatch.chdir(tmp_path)
    Path("node.yaml").write_text("folder: node\ncameras: [{name: a, source: 'rtsp://127.0.0.1:1/s'}]\n")
    Path("node").mkdir()
    Path("node/.lock").touch()
    check, start = run_cli("edge", "node.yaml", "--check"), run_cli("edge", "node.yaml")
    assert check.code == start.code == StorageError.exit_code
    assert "cannot lock files (ENOLCK)" in check.err
    assert "cannot lock files (ENOLCK)" in start.err


def test_only_one_place_asks_for_locks() -> None:
    root = Path(edge_autotuner.__file__).parent
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"flock", "lockf"}
    }
    assert found == {"storage/lock.py"}
