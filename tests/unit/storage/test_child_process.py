"""Processes end with all that they have started, and nobody waits for one that keeps their output open."""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_autotuner.storage.child_process import MessagingProcess
from helpers import REPOSITORY

LEAVES_ONE = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print('{"child": %d}' % child.pid, flush=True)
"""


def started(script: str) -> tuple[MessagingProcess, list[Mapping[str, Any]]]:
    said: list[Mapping[str, Any]] = []
    heard = threading.Event()

    def take(message: Mapping[str, Any]) -> None:
        said.append(message)
        heard.set()

    process = MessagingProcess([sys.executable, "-c", script], take, name="test")
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


def started_modules() -> dict[str, str]:
    """Return the modules of this package that are started as processes, and where their source is."""
    source = REPOSITORY / "src"
    named = {
        node.value
        for path in source.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.FunctionDef)
        and any(isinstance(each, ast.Name) and each.id == "module_command" for each in ast.walk(call))
        for node in ast.walk(call)
        if isinstance(node, ast.Constant) and str(node.value).startswith("edge_autotuner.")
    }
    return {name: (source / (name.replace(".", "/") + ".py")).read_text(encoding="utf-8") for name in sorted(named)}


def test_every_process_dies_with_the_one_that_started_it() -> None:
    modules = started_modules()
    assert len(modules) >= 5, "the search finds nothing any more"
    for name, text in modules.items():
        assert "die_with(" in text or "begin_work(" in text, name
