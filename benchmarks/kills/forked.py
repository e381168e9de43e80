"""Stands in for `subprocess` in a worker: a job's process is forked, so that it starts at once and can be struck."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from benchmarks.kills.faults import Watch

_POLL_S = 0.01


class Forking:
    """The part of the module `subprocess` that a worker uses.

    Args:
        watch: of the worker; the first job inherits its plan.
        stage: that a job is.
    """

    PIPE, DEVNULL, TimeoutExpired = subprocess.PIPE, subprocess.DEVNULL, subprocess.TimeoutExpired

    def __init__(self, watch: Watch, stage: str) -> None:
        self._watch, self._stage, self._n_started = watch, stage, 0

    def Popen(self, command: Sequence[str], **_: object) -> Forked:  # as the original is called
        """Start `python -m edge_autotuner.server.jobs.tuning FOLDER PRIORITY WORKER`."""
        self._n_started += 1
        is_struck = self._n_started == 1 and self._watch.counts_in == self._stage
        return Forked(self._watch, command[-3:], is_struck=is_struck)


class Forked:
    """A job's process; see `subprocess.Popen`."""

    def __init__(self, watch: Watch, arguments: Sequence[str], *, is_struck: bool) -> None:
        reading, writing = os.pipe()
        worker = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _be_job(watch, arguments, worker, writing, is_struck=is_struck)
        os.close(writing)
        self.stdout = os.fdopen(reading, encoding="utf-8")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        ends_at_s = time.monotonic() + (timeout if timeout is not None else 1e9)
        while (code := self.poll()) is None:
            if time.monotonic() > ends_at_s:
                raise subprocess.TimeoutExpired("a job", timeout or 0.0)
            time.sleep(_POLL_S)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def _be_job(watch: Watch, arguments: Sequence[str], worker: int, writing: int, *, is_struck: bool) -> None:
    """Be the job's process, and never return."""
    code = 1
    try:
        os.setpgid(0, 0)
        os.dup2(writing, 1)
        from edge_autotuner.server.jobs import tuning

        if is_struck:
            watch.enter()
        else:
            watch.forget()
        code = tuning.main(Path(arguments[0]), arguments[1], worker)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
