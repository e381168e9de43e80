"""Processes end with all that they have started, and nobody waits for one that keeps their output open."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_autotuner.pipeline.background_process import ChildProcess

LEAVES_ONE = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print('{"child": %d}' % child.pid, flush=True)
"""


def started(script: str) -> tuple[ChildProcess, list[Mapping[str, Any]]]:
    said: list[Mapping[str, Any]] = []
    heard = threading.Event()

    def take(message: Mapping[str, Any]) -> None:
        said.append(message)
        heard.set()

    process = ChildProcess([sys.executable, "-c", script], take, name="test")
    assert heard.wait(120)
    return process, said


def wait_until_gone(pid: int) -> None:
    """Wait for a process to be gone, or dead and not yet taken note of; its output is closed a moment before."""
    status = Path(f"/proc/{pid}/stat")
    for _ in range(20_000):
        try:
            if status.read_text().rpartition(")")[2].split()[0] in "ZX":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        threading.Event().wait(0.005)
    raise AssertionError(f"{pid} is still running")


def test_what_a_process_left_running_is_not_waited_for() -> None:
    process, said = started(LEAVES_ONE)
    assert process.exit_code == 0
    wait_until_gone(said[0]["child"])


def test_what_an_ended_process_has_started_ends_with_it() -> None:
    process, said = started(LEAVES_ONE + "import time; time.sleep(600)")
    process.end(patience_s=60)
    assert process.exit_code == -15
    wait_until_gone(said[0]["child"])
