"""Processes that give way to others, do not outlive who started them, and say in lines of JSON what they do."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

from edge_autotuner.core.json_limits import load_json
from edge_autotuner.core.redaction import redact_values

logger = logging.getLogger(__name__)

_LAST_WORDS_S = 2.0
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)

Say = Callable[[Mapping[str, Any]], None]
"""Takes a message of JSON values."""


def die_with(parent: int) -> None:
    """Let the kernel kill this process when the one that started it dies, even while it is stopped.

    Args:
        parent: its process id; where it died already, this process ends at once.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def be_killed_first() -> None:
    """Let the kernel end this process, and those that it starts, before any other one when memory runs out."""
    with suppress(OSError):  # a system that does not know it, or forbids it
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def lower_priority(priority: str) -> None:
    """Leave the cores to others; threads that are made later inherit it.

    Args:
        priority: idle, low or normal.
    """
    if priority == "normal":
        return
    os.nice(19)
    if priority == "idle":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def interrupt_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does: what it has done is kept."""
    signal.signal(signal.SIGTERM, _interrupt)


def print_line(message: Mapping[str, Any]) -> None:
    """Write a message where the one who started this process reads."""
    print(json.dumps(redact_values(message), allow_nan=False), flush=True)


class StepMessages:
    """The progress of tasks as messages, `task`, `done` and `total`; not too many of them.

    Args:
        say: takes them.
        every_s: shortest time between two of one task.
    """

    def __init__(self, say: Say, *, every_s: float) -> None:
        self._say, self._every_s = say, every_s
        self._task, self._n_done, self._said_s = "", 0, 0.0
        self._total: int | None = None

    def start(self, task: str, total: int | None) -> None:
        """Begin a task."""
        self._task, self._total, self._n_done = task, total, 0
        self._report()

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        """Count steps; the note is not told."""
        self._n_done += steps
        if time.monotonic() - self._said_s >= self._every_s:
            self._report()

    def finish(self) -> None:
        """End the task."""
        self._report()

    def _report(self) -> None:
        self._said_s = time.monotonic()
        self._say({"task": self._task, "done": self._n_done, "total": self._total})


class ChildProcess:
    """A process of this package that was started here, and the thread that reads what it says.

    It has a group of its own, to be signalled alone, but this session, where its low priority counts.

    Args:
        command: what to start.
        take: gets each message, in that thread; what it raises as ValueError, KeyError or TypeError is no message.
        name: for the log, which gets the lines that are no message.
    """

    def __init__(self, command: Sequence[str], take: Say, *, name: str) -> None:
        self._take, self._name = take, name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            process_group=0,
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    @property
    def exit_code(self) -> int:
        """Of the process, once it has ended and all it said was read."""
        code = int(self._process.wait())
        self._read_to_the_end()
        return code

    def end(self, *, patience_s: float) -> None:
        """Interrupt it where it still runs, kill it if that takes too long, and read what it said last."""
        if not self.has_ended:
            self._process.send_signal(signal.SIGTERM)
            wait_or_kill(self._process, patience_s)
        self._read_to_the_end()

    def _read_to_the_end(self) -> None:
        """Read what it said last; whatever it has started itself, and left with its output open, is killed."""
        self._reader.join(_LAST_WORDS_S)
        if self._reader.is_alive():
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                self._reader.join()  # nobody is left who could say more
            else:
                self._reader.join(_LAST_WORDS_S)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                try:
                    self._take(_parse(line))
                except (ValueError, KeyError, TypeError, RecursionError):
                    logger.info("%s: %s", self._name, line.rstrip()[:500])


def _parse(line: str) -> dict[str, Any]:
    message = load_json(line)
    if not isinstance(message, dict):
        raise TypeError("a message is a JSON object")
    return message


def wait_or_kill(process: subprocess.Popen[str], patience_s: float) -> None:
    """Wait for the end of a process that was told to end; kill it if it takes too long."""
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
