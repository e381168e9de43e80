"""Standard input, output and error of the process: there, and never in the way of the work.

A service manager or `2>&-` may start a program without them, and `| head` takes the reader away. What is said on
standard error is secondary: when nobody can read it, the work goes on. Who stops reading standard output wants no more.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

OUTPUT_CLOSED = 141
"""Exit code when nobody reads standard output any more: 128 + SIGPIPE, as shells know it."""

_STANDARD = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Give the process its three streams.

    A stream that is closed becomes the null device, and its number is taken: otherwise the next file that is opened
    would get the number 2, and every message of a library would be written into it. File names that are no UTF-8 can be
    printed, and writes to standard error cannot fail.
    """
    _take_missing_numbers()
    before = sys.stdin, sys.stdout, sys.stderr
    for number, (name, mode) in enumerate(_STANDARD):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 (for the process)
    for stream, errors in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors=errors)
    sys.stderr = cast(TextIO, _Unfailing(sys.stderr))
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def is_closed_output(error: BaseException | None) -> bool:
    """Whether an error means that standard output is closed, directly or as converted by the parser."""
    if isinstance(error, SystemExit):
        error = error.__context__
    return isinstance(error, OSError) and error.errno == errno.EPIPE


def flush_output() -> bool:
    """Write what is left for standard output; return whether somebody was there to read it."""
    try:
        sys.stdout.flush()
    except OSError as exc:
        if not is_closed_output(exc):
            raise
        return False
    return True


def drop_output() -> None:
    """Let what is still to be written to standard output vanish, so that the interpreter ends in peace."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


def _take_missing_numbers() -> None:
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number, which is this one


class _Unfailing:
    """A text stream whose writes are dropped when they fail."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the stream has)
        return getattr(self._stream, name)
