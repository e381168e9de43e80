"""Child processes: how a parent starts, asks and ends them, and what a child does at its start.

Each is a module of this package with a process group of its own. It gets the process id of its parent as an argument
and dies with it (`die_with`).
"""

from __future__ import annotations

import ctypes
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any, BinaryIO

from edge_autotuner.core.json_limits import load_json
from edge_autotuner.core.redaction import guard_tracebacks, redact_values, redacting_handler

logger = logging.getLogger(__name__)

_LAST_WORDS_S = 2.0
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)

Say = Callable[[Mapping[str, Any]], None]
"""Takes a message of JSON values."""


def module_command(module: str, *arguments: object) -> list[str]:
    """Return the command that runs a module in the interpreter of this process."""
    return [sys.executable, "-m", module, *map(str, arguments)]


class ChildProcess(subprocess.Popen[bytes]):
    """A process in its own group, so that it can be signalled alone, in this session, where its low priority counts.

    Raises:
        OSError: the system starts no process.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
        stderr: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        env = None if environment is None else {**os.environ, **environment}
        super().__init__(command, stdin=stdin, stdout=stdout, stderr=stderr, bufsize=0, process_group=0, env=env)

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self.poll() is not None

    def end(self, *, patience_s: float) -> int:
        """Interrupt the process if it runs, kill it if that takes longer than `patience_s`; return its exit code."""
        self.terminate()
        return wait_or_kill(self, patience_s)

    def kill_group(self) -> None:
        """Kill the process and all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


class MessagingProcess(ChildProcess):
    """A process that prints its messages as lines of JSON, which a thread reads.

    Args:
        command: what to start.
        take: gets each message, in that thread; what it refuses with ValueError, KeyError or TypeError is no message.
        name: for the log, which gets the lines that are no message.
    """

    def __init__(self, command: Sequence[str], take: Say, *, name: str) -> None:
        self._take, self._name = take, name
        super().__init__(command, stdout=subprocess.PIPE)
        assert self.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self.stdout,), daemon=True)
        self._reader.start()

    @property
    def exit_code(self) -> int:
        """The exit code, once the process has ended and all its messages are read."""
        code = self.wait()
        self._read_to_the_end()
        return code

    def end(self, *, patience_s: float) -> int:
        """End the process and read its last messages."""
        super().end(patience_s=patience_s)
        return self.exit_code

    def _read_to_the_end(self) -> None:
        """Read the last messages; kill what the process has started and left with its output open."""
        self._reader.join(_LAST_WORDS_S)
        if self._reader.is_alive():
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                self._reader.join()  # nobody is left who could say more
            else:
                self._reader.join(_LAST_WORDS_S)

    def _read(self, stream: IO[bytes]) -> None:
        with io.TextIOWrapper(io.BufferedReader(stream), "utf-8", "replace") as lines:  # type: ignore[type-var]
            for line in lines:
                try:
                    self._take(_parse(line))
                except (ValueError, KeyError, TypeError, RecursionError):
                    logger.info("%s: %s", self._name, line.rstrip()[:500])


def ask_process(
    command: Sequence[str], question: bytes | BinaryIO, *, time_limit_s: float
) -> subprocess.CompletedProcess[bytes]:
    """Send a question to a process's standard input and return the answer; kill it at its time limit.

    Raises:
        OSError: the system starts no process.
        subprocess.TimeoutExpired: it took too long.
    """
    source: dict[str, Any] = {"input": question} if isinstance(question, bytes) else {"stdin": question}
    return subprocess.run(command, capture_output=True, timeout=time_limit_s, check=False, process_group=0, **source)


def wait_or_kill(process: subprocess.Popen[Any], patience_s: float) -> int:
    """Wait for a process that was told to end, kill it if that takes too long, and return its exit code."""
    try:
        return int(process.wait(patience_s))
    except subprocess.TimeoutExpired:
        process.kill()
        return int(process.wait())


def begin_work(parent: int, *, priority: str, killed_first: bool = False) -> None:
    """Prepare a child that works for long: SIGTERM interrupts it as Ctrl-C does, and its log goes to standard error.

    Args:
        parent: process id of the parent, with which it dies.
        priority: see `lower_priority`.
        killed_first: see `be_killed_first`.
    """
    interrupt_on_sigterm()
    die_with(parent)
    if killed_first:
        be_killed_first()
    lower_priority(priority)
    guard_tracebacks()
    logging.basicConfig(level=logging.INFO, handlers=[redacting_handler(sys.stderr, "%(message)s")])


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies, even while it is stopped.

    Args:
        parent: its process id; if it is dead already, this process ends at once.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def be_killed_first() -> None:
    """Let the kernel end this process, and those that it starts, before any other one when memory runs out."""
    with suppress(OSError):  # a system that does not know it, or forbids it
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def lower_priority(priority: str) -> None:
    """Leave the cores to others: idle, low or normal; threads that are made later inherit it."""
    if priority == "normal":
        return
    os.nice(19)
    if priority == "idle":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def interrupt_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does: what it has done is kept."""
    signal.signal(signal.SIGTERM, _interrupt)


def print_line(message: Mapping[str, Any]) -> None:
    """Print a message for the parent."""
    print(json.dumps(redact_values(message), allow_nan=False), flush=True)


class StepMessages:
    """The progress of tasks as messages with `task`, `done` and `total`.

    Args:
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
        """Count steps; the note is not reported."""
        self._n_done += steps
        if time.monotonic() - self._said_s >= self._every_s:
            self._report()

    def finish(self) -> None:
        """End the task."""
        self._report()

    def _report(self) -> None:
        self._said_s = time.monotonic()
        self._say({"task": self._task, "done": self._n_done, "total": self._total})


def _parse(line: str) -> dict[str, Any]:
    message = load_json(line)
    if not isinstance(message, dict):
        raise TypeError("a message is a JSON object")
    return message


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
