"""Runs the command line: in this process, where speed counts, or as a process of its own that can be killed."""

from __future__ import annotations

import contextlib
import io
import logging
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: its exit code.
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
    with _signals_and_levels_kept(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        with mock.patch.object(sys, "argv", ["edge-autotuner", *map(str, arguments)]):
            try:
                main()
            except SystemExit as exc:
                code = exc.code
    assert isinstance(code, int), f"the command ended with {code!r}"
    return Outcome(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _signals_and_levels_kept():  # noqa: ANN202
    before = signal.getsignal(signal.SIGTERM)
    logger = logging.getLogger("edge_autotuner")
    level = logger.level
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        logger.setLevel(level)
