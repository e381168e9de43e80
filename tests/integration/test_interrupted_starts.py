"""A signal while a command starts ends it within seconds, with the code of an interrupt: real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_autotuner.cli.main import INTERRUPTED
from helpers import REPOSITORY

COMMANDS = {
    "run": ("run", "clip.mp4", "-o", "run", "-c"),
    "edge": ("edge",),
    "edge --check": ("edge", "--check"),
    "serve": ("serve",),
}
_LIMIT_S = 60.0  # a broken start would hang


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_start_that_reads_its_settings(command: str, number: signal.Signals, tmp_path: Path) -> None:
    """From a disk that does not answer: here a pipe into which nobody writes."""
    settings = tmp_path / "settings.yaml"
    os.mkfifo(settings)
    process = start(*COMMANDS[command], settings, cwd=tmp_path)
    with settings.open("w"):  # returns when the command has opened it, and keeps it waiting
        wait_until_blocked(process.pid)
        process.send_signal(number)
        _, err = process.communicate(timeout=_LIMIT_S)
    assert process.returncode == INTERRUPTED, err
    assert err.count("edge-autotuner: interrupted") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupt_within_code_that_python_makes_at_imports(number: signal.Signals, tmp_path: Path) -> None:
    """Python kills itself with SIGINT where a plain KeyboardInterrupt comes out of `exec`, although it is caught."""
    script = (
        "import os, signal, sys, edge_autotuner.cli.main as main\n"
        f"main._run = lambda *_: exec('os.kill(os.getpid(), {int(number)})') or 0\n"
        "def caught(*arguments, run=main._run):\n"
        "    try:\n"
        "        return run(*arguments)\n"
        "    except KeyboardInterrupt:\n"
        "        return main.INTERRUPTED\n"
        "main._run = caught\n"
        "main.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, timeout=_LIMIT_S, check=False
    )
    assert done.returncode == INTERRUPTED, done.stderr


def wait_until_blocked(pid: int) -> None:
    """Wait until a process sleeps and has used no processor time meanwhile: it is within its read."""
    seen: list[str] = []
    while len(seen) < 5:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        state, used = fields[0], " ".join(fields[11:13])
        seen = [*seen, used] if state == "S" and used in (seen or [used]) else []
        time.sleep(0.05)


def start(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edge_autotuner.cli", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}
