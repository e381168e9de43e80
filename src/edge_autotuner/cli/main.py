"""The entry point of `edge-autotuner`: calls the commands, and maps errors to exit codes."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from types import FrameType

from edge_autotuner.cli.streams import OUTPUT_CLOSED, drop_output, flush_output, is_closed_output, standard_streams
from edge_autotuner.core.redaction import guard_tracebacks, remember_secrets_in, safe_text
from edge_autotuner.errors import ConfigError, EdgeAutotunerError, StorageError
from edge_autotuner.pipeline.loop import COMMANDS

INTERRUPTED = 130
UNEXPECTED = 70

_RUN_COMMANDS = {"run", *COMMANDS.values()}


class Interrupted(KeyboardInterrupt):
    """What Ctrl-C and SIGTERM raise.

    After a plain `KeyboardInterrupt` within `exec`, which imports use, Python ends by SIGINT although it was caught.
    """


class _Interrupts:
    """Remembers Ctrl-C and SIGTERM: a library in the middle of a call may turn the exception into one of its own."""

    seen = False

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        self.seen = True
        raise Interrupted


_interrupts = _Interrupts()


def run_process() -> None:
    """Run the command as a process of its own, which ends at once after an interrupt, or with threads left behind.

    Native threads of libraries may still load a model then; Python would tear down under them, and they would abort.
    """
    try:
        main()
    except SystemExit as exc:
        others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
        if exc.code == INTERRUPTED or (others and all(thread.daemon for thread in others)):
            logging.shutdown()
            os._exit(exc.code if isinstance(exc.code, int) else 1)
        raise


def main() -> None:
    """Run the command; errors become one line and an exit code from the documented table."""
    _interrupts.seen = False
    signal.signal(signal.SIGTERM, _interrupts)
    signal.signal(signal.SIGINT, _interrupts)
    guard_tracebacks()
    _remember_secrets(sys.argv[1:])
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]  # it may stand anywhere
    with warnings.catch_warnings(), standard_streams():
        if not debug:
            warnings.simplefilter("ignore")  # those of libraries; our own are logged
        code = _run(["--debug", *arguments] if debug else arguments, debug)
        if not flush_output():
            drop_output()
            code = code or OUTPUT_CLOSED
    sys.exit(code)


def _remember_secrets(arguments: Sequence[str]) -> None:
    """Keep what may be secret in the arguments out of everything that is said from here on."""
    for argument in arguments:
        remember_secrets_in(argument)
        remember_secrets_in(argument.partition("=")[2])


def _run(arguments: Sequence[str], debug: bool) -> int:
    try:
        _require_text(arguments)
        from edge_autotuner.cli.app import app  # half a second of imports: Ctrl-C during them must be caught, too

        code = app(arguments, standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as exc:  # what typer makes of an output that nobody reads any more
        if not is_closed_output(exc):
            raise
        code = OUTPUT_CLOSED
    except Exception as exc:  # the process edge: our own errors, the parser's, and what nobody foresaw
        code = INTERRUPTED if _interrupts.seen else _fail(exc, debug)
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code, or into Abort, by its version
        _say(_after_interrupt(arguments))
    return int(code or 0)


def _require_text(arguments: Sequence[str]) -> None:
    """Refuse empty text, of an unset variable for example: as a path it would be the working directory.

    Raises:
        ConfigError: an argument, or the value of an option, is empty.
    """
    for number, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if argument == "":
            before = arguments[number - 1] if number else ""
            what = f"the value of {before}" if before.startswith("-") else f"argument {number + 1}"
        elif argument.startswith("--") and equals and value == "":
            what = f"the value of {option}"
        else:
            continue
        raise ConfigError(f"{what} is empty (an unset variable?); give a value or leave it out")


def _after_interrupt(arguments: Sequence[str]) -> str:
    """Return the message after Ctrl-C for the command in these arguments."""
    command = next((argument for argument in arguments if not argument.startswith("-")), "")
    if command in _RUN_COMMANDS:
        return "interrupted; finished work is kept: repeat the command to continue"
    if command == "watch":
        return "interrupted; repeat the command to start again"
    if command == "jobs":
        return "interrupted; the job keeps running at the service: repeat the command to follow it"
    return "interrupted; repeat the command to start again"


def _fail(error: Exception, debug: bool) -> int:
    """Print the error, and return the exit code."""
    if isinstance(error, OSError):
        error = StorageError(f"{error}; {_advice(error)}")
    if isinstance(error, EdgeAutotunerError):
        return _complain(f"{type(error).__name__}: {_one_line(error)}", error.exit_code, debug)
    if type(error).__name__ == "Abort":  # typer's word for Ctrl-C, in some versions
        return INTERRUPTED
    code = getattr(error, "exit_code", None)
    if code is not None:  # typer's Exit, and its usage errors, which can show themselves
        show = getattr(error, "show", None)
        if show is not None:
            error.message = safe_text(getattr(error, "message", ""))  # type: ignore[attr-defined]
            show()
        return int(code)
    text = f"unexpected {type(error).__name__}: {_one_line(error)}; run again with --debug to see where"
    return _complain(text, UNEXPECTED, debug)


def _advice(error: OSError) -> str:
    """Return advice for an error of the operating system."""
    if error.errno in {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}:
        return (
            "this file system does not support file locks or another required function; choose a folder on a local disk"
        )
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return "too many open files; raise the limit (ulimit -n)"
    if error.errno in {errno.ENOMEM, errno.EAGAIN}:
        return "out of memory or processes; close other programs, or use fewer threads"
    if isinstance(error, ConnectionError | TimeoutError):
        return "no response, or connection closed; check the address and the network"
    return "check the disk and the path"


def _complain(text: str, code: int, debug: bool) -> int:
    if debug:
        print(safe_text(traceback.format_exc()), end="", file=sys.stderr)
    _say(text)
    return code


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _say(text: str) -> None:
    print(f"edge-autotuner: {safe_text(text)}", file=sys.stderr)
