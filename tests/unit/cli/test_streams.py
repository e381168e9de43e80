"""Closed and broken standard streams do not stop the work."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_autotuner.cli.streams import OUTPUT_CLOSED, is_closed_output, standard_streams
from helpers import REPOSITORY

_COMMAND = [sys.executable, "-m", "edge_autotuner.cli"]


class _Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


def test_writes_to_a_broken_standard_error_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = _Broken()
    monkeypatch.setattr(sys, "stderr", broken)
    with standard_streams():
        assert sys.stderr.write("three") == 5
        sys.stderr.flush()
        print("more", file=sys.stderr)
        assert not sys.stderr.isatty()
    assert sys.stderr is broken


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_a_missing_stream_is_replaced_and_taken_away_again(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, name, None)
    with standard_streams():
        assert getattr(sys, name) is not None
    assert getattr(sys, name) is None


def test_which_errors_mean_that_nobody_reads() -> None:
    assert is_closed_output(BrokenPipeError(32, "Broken pipe"))
    assert not is_closed_output(OSError(28, "No space left on device"))
    assert not is_closed_output(ValueError())
    ended = SystemExit(1)
    ended.__context__ = BrokenPipeError(32, "Broken pipe")
    assert is_closed_output(ended)
    assert not is_closed_output(SystemExit(1))


def _run(redirection: str, *arguments: str, folder: Path) -> int:
    """Run the command in a shell with redirections, and return its own exit code."""
    words = " ".join(f"'{word}'" for word in (*_COMMAND, *arguments))
    script = f"({words}; echo $? > code) {redirection}"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    subprocess.run(["bash", "-c", script], cwd=folder, env=environment, check=False, timeout=120, capture_output=True)
    return int((folder / "code").read_text())


_CLOSED = ["2>&-", ">&-", "<&- >&- 2>&-", "2>/dev/full"]


@pytest.mark.parametrize("redirection", _CLOSED)
def test_closed_streams_change_neither_code_nor_files(tmp_path: Path, redirection: str) -> None:
    assert _run("", "simulate", "plain.mp4", "--frames", "4", folder=tmp_path) == 0
    assert _run(redirection, "simulate", "a.mp4", "--frames", "4", folder=tmp_path) == 0
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "plain.mp4").read_bytes()
    assert _run(redirection, "watch", "a.mp4", "--pictures", "seen", folder=tmp_path) == 0
    assert list((tmp_path / "seen").iterdir())


@pytest.mark.parametrize("redirection", _CLOSED)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["watch", "nothing.mp4"], 3, id="error"),
        pytest.param(["no-such-command"], 2, id="usage"),
        pytest.param(["--version"], 0, id="version"),
    ],
)
def test_closed_streams_keep_the_exit_code(tmp_path: Path, redirection: str, arguments: list[str], code: int) -> None:
    assert _run(redirection, *arguments, folder=tmp_path) == code


def test_a_reader_that_goes_ends_the_command_quietly(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(
        [*_COMMAND, "config", "explain"],
        cwd=tmp_path,
        env=environment,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (OUTPUT_CLOSED, b"")


def test_standard_error_without_a_reader_does_not_stop_the_work(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    command = [*_COMMAND, "-v", "simulate", "a.mp4", "--frames", "4"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, stderr=writing, stdout=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stdout) == (0, b"a.mp4\n")
