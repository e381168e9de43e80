"""Writes are whole or did not happen, and refusals say what to do."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from edge_autotuner.errors import StorageError
from edge_autotuner.storage import atomic


def test_write_replaces_and_leaves_no_temporary(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    atomic.atomic_write_text(path, "old")
    atomic.atomic_write_text(path, "neu ü")
    assert path.read_bytes() == "neu ü".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_empty_file(tmp_path: Path) -> None:
    atomic.atomic_write_bytes(tmp_path / "a", b"")
    assert (tmp_path / "a").read_bytes() == b""


def test_json_is_strict_and_compact(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    atomic.atomic_write_json(path, {"b": [1, 2.5, None]})
    assert path.read_text() == '{"b":[1,2.5,null]}\n'
    with pytest.raises(ValueError, match="Out of range float"):
        atomic.atomic_write_json(path, {"b": float("nan")})
    assert path.read_text() == '{"b":[1,2.5,null]}\n'


def test_what_the_dead_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    here, thread = os.getpid(), threading.get_ident()
    left = [f".a.json.{dead.pid}-{thread}.tmp", f".link.{dead.pid}.tmp", f".a.json.{here}-{thread + 1}.tmp"]
    kept = [f".a.json.{here}-{thread}.tmp", f".link.{here}.tmp", ".b1.0123456789abcdef.tmp", "a.1.tmp", ".a.1.json"]
    for name in [*left, *kept]:
        (tmp_path / name).write_text("half")
    (tmp_path / f".bundle.{dead.pid}.tmp").mkdir()
    (tmp_path / f".bundle.{dead.pid}.tmp" / "model.onnx").write_text("half")
    (tmp_path / f".to-nowhere.{dead.pid}.tmp").symlink_to("bundles/gone", target_is_directory=True)
    atomic.remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
    atomic.remove_leftovers(tmp_path / "missing")


def test_file_has_the_permissions_of_a_plain_write(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    atomic.atomic_write_text(tmp_path / "atomic", "")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")}
    assert len(modes) == 1


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        pytest.param(errno.ENOSPC, "free some space", id="disk full"),
        pytest.param(errno.EDQUOT, "quota", id="quota"),
        pytest.param(errno.EROFS, "not read-only", id="read-only"),
        pytest.param(errno.EACCES, "can write to", id="no permission"),
        pytest.param(errno.EIO, "check the disk", id="broken disk"),
        pytest.param(errno.EMFILE, "check the disk and the output folder", id="anything else"),
    ],
)
def test_refusal_names_path_and_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, advice: str) -> None:
    path = tmp_path / "a.txt"
    atomic.atomic_write_text(path, "old")

    def refuse(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=advice) as caught:
        atomic.atomic_write_text(path, "new")
    assert str(path) in str(caught.value)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, bytes(data)[:3]))
    atomic.atomic_write_bytes(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_missing_folder_and_file_as_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="create the folder"):
        atomic.atomic_write_text(tmp_path / "no" / "a", "")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="File exists"):
        atomic.make_folder(tmp_path / "file")


def test_remove_temporaries_leaves_other_files(tmp_path: Path) -> None:
    for name in (".a.json.12-34.tmp", ".keep", "b.tmp"):
        (tmp_path / name).write_text("")
    atomic.remove_temporaries(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".keep", "b.tmp"]


def test_a_second_name_is_no_copy(tmp_path: Path) -> None:
    source, path = tmp_path / "source", tmp_path / "path"
    source.write_bytes(b"picture")
    path.write_bytes(b"half")
    for _ in range(2):
        atomic.link_or_copy(source, path, before_copy=refuse_copy)
        assert path.samefile(source)
    with pytest.raises(StorageError, match="No such file"):
        atomic.link_or_copy(tmp_path / "gone", path, before_copy=refuse_copy)


def refuse_copy(n_bytes: int) -> None:
    raise StorageError(f"no room for {n_bytes}")


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
def test_where_there_are_no_second_names_it_is_copied_if_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(source: Path, path: Path) -> None:
        raise OSError(code, os.strerror(code))

    source, path = tmp_path / "source", tmp_path / "path"
    source.write_bytes(b"picture")
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StorageError, match="no room for 7"):
        atomic.link_or_copy(source, path, before_copy=refuse_copy)
    assert not path.exists()
    atomic.link_or_copy(source, path, before_copy=lambda _: None)
    assert path.read_bytes() == b"picture"
    assert not path.samefile(source)


@pytest.mark.parametrize("name", ["y" * 250 + ".json", "é" * 127, "caf\udce9"])
def test_names_as_long_as_linux_allows(tmp_path: Path, name: str) -> None:
    atomic.atomic_write_json(tmp_path / name, {"caf\udce9": 1})
    assert json.loads((tmp_path / name).read_bytes().decode("utf-8")) == {r"caf\xe9": 1}
    assert [path.name for path in tmp_path.iterdir()] == [name]
