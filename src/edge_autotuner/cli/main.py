"""The entry point of `edge-autotuner`: calls the commands, and maps errors to exit codes."""

from __future__ import annotations

import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from types import FrameType

from edge_autotuner.errors import EdgeAutotunerError, StorageError

INTERRUPTED = 130
UNEXPECTED = 70


def main() -> None:
    """Run the command; errors become one line and an exit code from the documented table."""
    signal.signal(signal.SIGTERM, _interrupt)
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]  # it may stand anywhere
    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")  # those of libraries; our own are logged
        code = _run(["--debug", *arguments] if debug else arguments, debug)
    sys.exit(code)


def _run(arguments: Sequence[str], debug: bool) -> int:
    try:
        from edge_autotuner.cli.app import app  # half a second of imports: Ctrl-C during them must be caught, too

        code = app(arguments, standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except EdgeAutotunerError as exc:
        code = _fail(exc, exc.exit_code, debug)
    except OSError as exc:
        code = _fail(StorageError(f"{exc}; check the disk and the path"), StorageError.exit_code, debug)
    except Exception as exc:  # the process edge: usage errors of the parser, and what nobody foresaw
        code = _fail_unexpectedly(exc, debug)
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code, or into Abort, by its version
        _say("interrupted; what a run has finished is kept: the same command continues it")
    return int(code or 0)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(error: Exception, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    _say(f"{type(error).__name__}: {' '.join(str(error).split())}")
    return code


def _fail_unexpectedly(error: Exception, debug: bool) -> int:
    if type(error).__name__ == "Abort":  # typer's word for Ctrl-C, in some versions
        return INTERRUPTED
    code = getattr(error, "exit_code", None)
    if code is not None:  # typer's Exit, and its usage errors, which can show themselves
        show = getattr(error, "show", None)
        if show is not None:
            show()
        return int(code)
    if debug:
        traceback.print_exc()
    _say(f"unexpected {type(error).__name__}: {' '.join(str(error).split())}; run again with --debug to see where")
    return UNEXPECTED


def _say(text: str) -> None:
    print(f"edge-autotuner: {text}", file=sys.stderr)
