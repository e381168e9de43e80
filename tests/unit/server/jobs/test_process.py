"""Workers of `serve`: started when there is work, started again when they end, ended in order."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from edge_autotuner.server.jobs import process as process_module
from edge_autotuner.server.jobs.process import WorkerProcesses
from edge_autotuner.storage.child_process import ChildProcess


class Starter:
    """Starts processes that run a script, and remembers them."""

    def __init__(self, script: str) -> None:
        self.script = script
        self.started: list[ChildProcess] = []

    def __call__(self) -> ChildProcess:
        self.started.append(ChildProcess([sys.executable, "-c", self.script]))
        return self.started[-1]


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(20_000):
        if is_so():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not happen")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "_LOOK_S", 0.01)
    monkeypatch.setattr(process_module, "_FIRST_PAUSE_S", 0.01)


def test_they_run_until_they_are_stopped() -> None:
    starter = Starter("import time; time.sleep(600)")
    workers = WorkerProcesses(2, starter, is_wanted=lambda: True)
    workers.start()
    wait_until(lambda: len(starter.started) == 2)
    workers.stop()
    assert [process.poll() for process in starter.started] == [-15, -15]
    workers.stop()


def test_one_that_ends_is_started_again() -> None:
    starter = Starter("raise SystemExit(3)")
    workers = WorkerProcesses(1, starter, is_wanted=lambda: True)
    workers.start()
    wait_until(lambda: len(starter.started) >= 3)
    workers.stop()
    for process in starter.started:
        assert process.wait() in (3, -15)


def test_without_work_none_is_started() -> None:
    starter, asked = Starter(""), threading.Event()

    def is_wanted() -> bool:
        asked.set()
        return False

    workers = WorkerProcesses(1, starter, is_wanted=is_wanted)
    workers.start()
    assert asked.wait(60)
    workers.stop()
    assert starter.started == []


def test_one_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "_ENDING_S", 0.1)
    script = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); signal.pause()"
    started: list[ChildProcess] = []

    def start() -> ChildProcess:
        process = ChildProcess([sys.executable, "-c", script], stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout as said:
            assert said.readline() == b"x\n"
        started.append(process)
        return process

    workers = WorkerProcesses(1, start, is_wanted=lambda: True)
    workers.start()
    wait_until(lambda: len(started) == 1)
    workers.stop()
    assert started[0].poll() == -9


def test_with_no_places_nothing_happens() -> None:
    workers = WorkerProcesses(0, Starter(""), is_wanted=lambda: True)
    workers.start()
    workers.stop()
    assert workers.problem() is None


def test_a_system_that_starts_nothing_is_noticed_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "_LONGEST_PAUSE_S", 0.01)
    is_refused = threading.Event()
    is_refused.set()
    starter = Starter("import time; time.sleep(600)")

    def start() -> ChildProcess:
        if is_refused.is_set():
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return starter()

    workers = WorkerProcesses(1, start, is_wanted=lambda: True)
    workers.start()
    wait_until(lambda: workers.problem() == "cannot start job workers; see the log")
    is_refused.clear()
    wait_until(lambda: workers.problem() is None)
    workers.stop()


def test_a_failing_question_does_not_end_the_supervision(caplog: pytest.LogCaptureFixture) -> None:
    starter, asked = Starter("import time; time.sleep(600)"), []

    def is_wanted() -> bool:
        asked.append(1)
        if len(asked) < 3:
            raise RuntimeError("unexpected")
        return True

    workers = WorkerProcesses(1, starter, is_wanted=is_wanted)
    workers.start()
    wait_until(lambda: len(starter.started) == 1)
    assert workers.problem() is None
    workers.stop()
    assert caplog.text.count("the supervisor of the job workers failed") == 2
