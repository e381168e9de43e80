"""The journal keeps what it acknowledged, ignores an unfinished end, and reports damage."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edge_autotuner.errors import DatasetError, StorageError
from edge_autotuner.storage.journal import JournalWriter, encode_line, read_journal


def write(path: Path, *records: dict[str, int]) -> int:
    writer = JournalWriter(path, end=0)
    for record in records:
        writer.append(record)
    writer.close()
    return writer.end


def test_line_form_is_stable(tmp_path: Path) -> None:
    assert encode_line({"a": 1}) == b'{"crc32":"561bacaf","record":{"a":1}}\n'


def test_empty_and_one_record(tmp_path: Path) -> None:
    path = tmp_path / "j"
    assert write(path) == 0
    assert read_journal(path).records == ()
    end = write(path, {"a": 1})
    part = read_journal(path)
    assert (part.records, part.end, part.n_lines) == (({"a": 1},), end, 1)


@pytest.mark.parametrize("n_cut", [1, 2, 10, 36])
def test_torn_tail_is_ignored_and_cut_at_the_next_write(tmp_path: Path, n_cut: int) -> None:
    path = tmp_path / "j"
    write(path, {"a": 1}, {"a": 2})
    path.write_bytes(path.read_bytes()[:-n_cut])
    part = read_journal(path)
    assert part.records == ({"a": 1},)
    writer = JournalWriter(path, end=part.end)
    writer.append({"a": 3})
    writer.close()
    assert read_journal(path).records == ({"a": 1}, {"a": 3})


def test_torn_tail_longer_than_the_next_record_is_cut_whole(tmp_path: Path) -> None:
    path = tmp_path / "j"
    end = write(path, {"a": 1})
    path.write_bytes(path.read_bytes() + encode_line({"long": 10**90})[:-1])
    writer = JournalWriter(path, end=end)
    writer.append({"a": 2})
    writer.close()
    assert path.read_bytes() == encode_line({"a": 1}) + encode_line({"a": 2})


def test_blocks_that_never_reached_the_disk_are_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "j"
    write(path, {"a": 1})
    path.write_bytes(path.read_bytes() + b"\0" * 50 + b'"a":2}}\n')
    assert read_journal(path).records == ({"a": 1},)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b'{"a":2}', b'{"a":7}', id="one digit changed"),
        pytest.param(b'{"crc32"', b'{"crc33"', id="frame changed"),
        pytest.param(b'{"a":2}}\n', b"", id="end of line lost"),
    ],
)
def test_damage_in_the_middle_names_the_line(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "j"
    write(path, {"a": 1}, {"a": 2}, {"a": 3})
    data = path.read_bytes()
    start = data.index(b"\n") + 1
    path.write_bytes(data[:start] + data[start:].replace(old, new, 1))
    with pytest.raises(DatasetError, match=r"j:2: this line is damaged"):
        read_journal(path)


def test_empty_line_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"\n")
    with pytest.raises(DatasetError, match=r"j:1:"):
        read_journal(path)


def test_reading_goes_on_from_an_offset(tmp_path: Path) -> None:
    path = tmp_path / "j"
    first = write(path, {"a": 1})
    writer = JournalWriter(path, end=first)
    writer.append({"a": 2})
    writer.close()
    part = read_journal(path, start=first, n_lines_before=1)
    assert (part.records, part.n_lines) == (({"a": 2},), 2)
    with pytest.raises(DatasetError, match="shrank"):
        read_journal(path, start=10_000)


def test_refused_write_leaves_the_journal_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "j"
    writer = JournalWriter(path, end=0)
    writer.append({"a": 1})
    before = path.read_bytes()
    real_write = os.write

    def half_then_full(handle: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(handle, bytes(data)[: len(data) // 2])

    monkeypatch.setattr(os, "write", half_then_full)
    with pytest.raises(StorageError, match="free some space"):
        writer.append({"a": 2})
    assert path.read_bytes() == before
    monkeypatch.undo()
    writer.append({"a": 3})
    assert read_journal(path).records == ({"a": 1}, {"a": 3})


def test_nan_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "j", end=0)
    with pytest.raises(ValueError, match="Out of range float"):
        writer.append({"a": float("nan")})
    assert (tmp_path / "j").read_bytes() == b""
    writer.close()
    writer.close()


def test_missing_journal(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot read"):
        read_journal(tmp_path / "j")
