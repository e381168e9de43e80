"""Processes of the product that can be killed: forked from one that has imported everything, they start at once."""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock

from benchmarks.kills.faults import Noted, Plan, read_note

Work = Callable[..., object]
"""A function of a module, called in the process as `work(watch, *arguments)`."""

ROOT = Path(__file__).resolve().parent.parent.parent
TIMEOUT_S = 300.0
"""Longest wait for anything: the machine may be busy."""

_POLL_S = 0.003


class StuckError(Exception):
    """Something did not come to its end, which is a failure of its own."""


class Life:
    """One process from its start to its end; killed at the end of the `with` block.

    Args:
        work: what it does.
        arguments: of `work`, behind the watch.
        plan: what shall happen to it.
        log: file that takes what it says; added to.
    """

    def __init__(self, work: Work, *arguments: object, plan: Plan, log: Path) -> None:
        self._note = log.with_suffix(".note")
        log.touch()
        self.log = log
        self._process = _forkserver().Process(target=_live, args=(work, arguments, plan, log, self._note))
        self._note.unlink(missing_ok=True)
        self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def exit_code(self) -> int | None:
        """The negative number of the signal that ended it; None while it runs."""
        return self._process.exitcode

    @property
    def was_killed(self) -> bool:
        """Whether its plan has killed it."""
        return self.exit_code == -signal.SIGKILL and self.noted.was_hit

    @property
    def noted(self) -> Noted:
        """What it tells about itself."""
        if not self._note.is_file() or not self._note.stat().st_size:
            return Noted(0, False, 0)
        return read_note(self._note)

    def wait(self) -> int:
        """Wait for the end, and return the exit code.

        Raises:
            StuckError: it does not end.
        """
        self._process.join(TIMEOUT_S)
        if self._process.exitcode is None:
            raise StuckError(f"a process does not end: {self.log.read_text(errors='replace')[-2000:]}")
        return self._process.exitcode

    def wait_for_ever(self) -> None:
        """Wait for the end, however long it takes."""
        self._process.join()

    def wait_until(self, is_so: Callable[[], bool]) -> bool:
        """Wait for something, or for the end; return whether it came."""
        ends_at_s = time.monotonic() + TIMEOUT_S
        while not is_so():
            if self._process.exitcode is not None:
                return is_so()
            if time.monotonic() > ends_at_s:
                raise StuckError(f"nothing happens: {self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(_POLL_S)
        return True

    def stop(self) -> int:
        """Ask it to end, and wait."""
        if self._process.exitcode is None and self._process.pid is not None:
            self._process.terminate()
        return self.wait()

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()


def _forkserver() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.kills.preload"])
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT), str(ROOT / "tests")])
    with mock.patch.dict(os.environ, {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}):
        multiprocessing.forkserver.ensure_running()
    return context


def _live(work: Work, arguments: tuple[Any, ...], plan: Plan, log: Path, note: Path) -> None:
    from benchmarks.kills.faults import Watch

    threading.Thread(target=_die_with_the_harness, daemon=True).start()
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(handle, stream.fileno())
    work(Watch(plan, note), *arguments)


def _die_with_the_harness() -> None:
    """End this process when the harness is gone, which is not its parent: that is the one it was forked from."""
    harness = multiprocessing.parent_process()
    assert harness is not None
    harness.join()
    os._exit(1)
