"""Lines of JSON, in a file and on standard output."""

from __future__ import annotations

import json
import logging
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_autotuner.errors import ConfigError, StorageError
from edge_autotuner.node.outputs.json_lines import JsonLinesFile, JsonLinesStream
from support.service.output_samples import LABELS, make_report, wait_until

LINE_BYTES = len(make_report(0, index=10).json_text) + 1


def indices(path: Path) -> list[int]:
    return [json.loads(line)["frame_index"] for line in path.read_bytes().splitlines()]


@contextmanager
def written(path: Path, max_bytes: int = 1_000_000) -> Iterator[JsonLinesFile]:
    output = JsonLinesFile(path, max_bytes=max_bytes)
    yield output
    output.close()


@contextmanager
def files_up_to(n_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_report_is_a_line_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "seen.jsonl"
    with written(path) as output:
        output.announce("front", LABELS)
        report = make_report(0, 1, index=3)
        output.take(report)
        assert json.loads(path.read_text()) == report.to_json()
        output.take(make_report(index=4))
        assert path.read_text().endswith("\n")
        assert output.status.n_sent == 2
    with written(path) as output:
        output.take(make_report(index=5))
    assert indices(path) == [3, 4, 5]


def test_a_torn_line_of_a_killed_run_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    with written(path) as output:
        output.take(make_report(index=1))
    path.write_bytes(path.read_bytes() + b'{"camera":"fro')
    with written(path) as output:
        output.take(make_report(index=2))
        output.take(make_report(index=3))
    lines = path.read_bytes().splitlines()
    assert lines.pop(1) == b'{"camera":"fro'
    assert [json.loads(line)["frame_index"] for line in lines] == [1, 2, 3]


def test_a_large_file_makes_room(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    with written(path, max_bytes=3 * LINE_BYTES) as output:
        for index in range(10, 18):
            output.take(make_report(0, index=index))
        assert indices(path) == [16, 17]
        assert indices(tmp_path / "seen.jsonl.1") == [13, 14, 15]
        assert output.status.n_dropped == 0


def test_a_line_that_is_too_long_for_any_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    with written(path, max_bytes=10) as output:
        output.take(make_report(0, index=1))
        output.take(make_report(0, index=2))
    assert indices(path) == [2]
    assert indices(tmp_path / "seen.jsonl.1") == [1]


def test_a_full_disk_costs_lines_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "seen.jsonl"
    with written(path) as output, caplog.at_level(logging.INFO):
        output.take(make_report(0, index=10))
        with files_up_to(LINE_BYTES + LINE_BYTES // 2):
            for index in range(11, 15):
                output.take(make_report(0, index=index))
            assert path.stat().st_size == LINE_BYTES  # no half of a line
        status = output.status
        assert (status.n_sent, status.n_dropped, status.n_failures) == (1, 4, 4)
        assert status.problem == f"cannot write {path}: File too large"
        output.take(make_report(0, index=15))
        assert output.status.problem is None
    assert indices(path) == [10, 15]
    assert len(caplog.records) == 2
    assert "4 reports were dropped meanwhile" in caplog.records[1].message


def test_half_a_line_that_cannot_be_removed_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "seen.jsonl"

    def refuse(*_: object) -> None:
        raise OSError("no")

    with written(path) as output:
        with monkeypatch.context() as patch, files_up_to(LINE_BYTES // 2):
            patch.setattr(os, "ftruncate", refuse)
            output.take(make_report(0, index=10))
        output.take(make_report(0, index=11))
    half, whole = path.read_bytes().splitlines()
    assert len(half) == LINE_BYTES // 2
    assert json.loads(whole)["frame_index"] == 11


def test_a_file_that_somebody_deleted_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    with written(path) as output:
        output.take(make_report(index=1))
        path.unlink()
        output.take(make_report(index=2))
    assert indices(path) == [2]


@pytest.mark.parametrize("is_created", [False, True], ids=["moved", "moved and created anew"])
def test_a_file_that_logrotate_moved_away_is_left_alone(is_created: bool, tmp_path: Path) -> None:
    path, old = tmp_path / "seen.jsonl", tmp_path / "seen.jsonl-20260101"
    with written(path) as output:
        output.take(make_report(index=1))
        path.rename(old)
        if is_created:
            path.touch()
        output.take(make_report(index=2))
    assert (indices(old), indices(path)) == ([1], [2])


def test_moving_the_full_file_away_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    obstacle = tmp_path / "seen.jsonl.1"
    obstacle.mkdir()
    with written(path, max_bytes=LINE_BYTES) as output:
        for index in (10, 11):
            output.take(make_report(0, index=index))
        assert output.status.problem is not None
        obstacle.rmdir()
        output.take(make_report(0, index=12))
        assert output.status.problem is None
    assert (indices(obstacle), indices(path)) == ([10], [12])


def test_threads_do_not_mix_lines(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    with written(path, max_bytes=40 * LINE_BYTES) as output:
        writers = [
            threading.Thread(
                target=lambda start: [output.take(make_report(0, index=start + n)) for n in range(10)], args=(s,)
            )
            for s in (10, 20, 30)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    assert sorted(indices(path)) == list(range(10, 40))


def test_what_cannot_be_opened_is_said_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="is not a file"):
        JsonLinesFile(tmp_path / "pipe", max_bytes=1000)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        JsonLinesFile(tmp_path / "file" / "below", max_bytes=1000)
    with pytest.raises(StorageError, match="directory"):
        JsonLinesFile(tmp_path, max_bytes=1000)


def test_a_closed_file_drops(tmp_path: Path) -> None:
    output = JsonLinesFile(tmp_path / "seen.jsonl", max_bytes=1000)
    output.close()
    output.close()
    output.take(make_report())
    assert output.status.n_dropped == 1


def test_a_stream_gets_lines_too() -> None:
    reading, writing = os.pipe()
    output = JsonLinesStream(writing)
    for index in range(3):
        output.take(make_report(0, index=index))
    output.close()
    os.close(writing)
    with open(reading, "rb") as lines:
        assert [json.loads(line)["frame_index"] for line in lines] == [0, 1, 2]
    assert output.status.n_sent == 3


@pytest.mark.parametrize("is_blocking", [True, False])
def test_a_reader_that_is_slow_loses_the_oldest_lines(is_blocking: bool) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, is_blocking)
    output = JsonLinesStream(writing)
    n = 2000  # more than a pipe and the queue can hold
    for index in range(n):
        output.take(make_report(0, index=index))
    assert output.status.n_dropped > 0
    got: list[int] = []
    with open(reading, "rb") as lines:
        while not got or got[-1] < n - 1:
            got.append(json.loads(lines.readline())["frame_index"])
    output.close()
    os.close(writing)
    assert got == sorted(got)
    assert len(got) + output.status.n_dropped == n


def test_a_reader_that_has_gone_only_costs_lines() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    output = JsonLinesStream(writing)
    output.take(make_report())
    wait_until(lambda: output.status.problem)
    output.take(make_report())
    output.close()
    os.close(writing)
    assert output.status.problem == "cannot write to standard output: Broken pipe"
    assert (output.status.n_sent, output.status.n_dropped) == (0, 2)
