"""Runs the command line: in this process, where speed counts, or as a process of its own that can be killed."""

from __future__ import annotations

import contextlib
import io
import logging
import multiprocessing
import multiprocessing.forkserver
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from helpers import REPOSITORY

TESTS = Path(__file__).resolve().parents[2]
_TIMEOUT_S = 300
_POLL_S = 0.001


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: its exit code; the negative signal number when it was killed.
        out: standard output.
        err: standard error.
    """

    code: int
    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        """The lines for the user about what went wrong."""
        return [line for line in self.err.splitlines() if line.startswith("edge-autotuner:")]


def run_cli(*arguments: str | Path) -> Outcome:
    """Run the command in this process, as the installed script does."""
    from edge_autotuner.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    argv = mock.patch.object(sys, "argv", ["edge-autotuner", *map(str, arguments)])
    code: object = None
    with _process_kept_as_it_was(), argv, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as exc:
            code = exc.code
    assert isinstance(code, int), f"the command ended with {code!r}"
    return Outcome(code, out.getvalue(), err.getvalue())


def run_script(
    *arguments: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> Outcome:
    """Run the command as a user does: a new interpreter."""
    command = [sys.executable, "-m", "edge_autotuner.cli", *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"} | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


class CliProcess:
    """The command as a process of its own, forked from one that has imported everything.

    Args:
        log: prefix of the files that take its output.
        arguments: of the command.
        max_file_bytes: largest file that it may write; None for no limit.
    """

    def __init__(self, log: Path, *arguments: str | Path, max_file_bytes: int | None = None) -> None:
        self._out, self._err = Path(f"{log}.out"), Path(f"{log}.err")
        for place in (self._out, self._err):
            place.write_text("")
        context = _forkserver()
        self._process = context.Process(target=_be_the_cli, args=([*map(str, arguments)], log, max_file_bytes))
        self._process.start()

    def wait_until(self, is_time: Callable[[], bool]) -> None:
        """Return when something has happened; the command must still be running then."""
        began_s = time.monotonic()
        while not is_time():
            assert self._process.exitcode is None, f"ended with {self._process.exitcode}:\n{self._err.read_text()}"
            assert time.monotonic() - began_s < _TIMEOUT_S, "nothing happened"
            time.sleep(_POLL_S)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; one that comes after the end does nothing."""
        assert self._process.pid is not None
        if self._process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def end(self) -> Outcome:
        """Wait for the end."""
        self._process.join(_TIMEOUT_S)
        assert self._process.exitcode is not None, "the command does not end"
        return Outcome(self._process.exitcode, self._out.read_text(), self._err.read_text())


def _forkserver() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["support.runs.cli_preload"])
    paths = os.pathsep.join([str(REPOSITORY / "src"), str(TESTS)])
    with mock.patch.dict(os.environ, {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}):
        multiprocessing.forkserver.ensure_running()
    return context


def _be_the_cli(arguments: list[str], log: Path, max_file_bytes: int | None) -> None:
    from edge_autotuner.cli.main import main

    for stream, place in ((sys.stdout, f"{log}.out"), (sys.stderr, f"{log}.err")):
        handle = os.open(place, os.O_WRONLY)
        os.dup2(handle, stream.fileno())
    if max_file_bytes is not None:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, hard))
    sys.argv = ["edge-autotuner", *arguments]
    main()


@contextlib.contextmanager
def _process_kept_as_it_was() -> Iterator[None]:
    """Undo what an entry point may do to its process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    logger, root = logging.getLogger("edge_autotuner"), logging.getLogger()
    level, root_level, root_handlers = logger.level, root.level, root.handlers[:]
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    umask = os.umask(0o077)
    os.umask(umask)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        logger.setLevel(level)
        root.setLevel(root_level)
        root.handlers[:] = root_handlers
        os.umask(umask)
        sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
