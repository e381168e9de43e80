"""What a process does to itself, for the harness: it counts what it does to disk, database and network, and dies.

A *step* is a call that leaves the process: a write, a flush, a rename, a deletion, a statement or commit of SQLite,
bytes sent or received, or progress that the work reports. Steps are counted while the process is in the stage of its
plan, and at the step of the plan it is killed, or the disk is full for a while. Nothing of this is in the product: the
functions are wrapped in the process that was started for it.
"""

from __future__ import annotations

import errno
import fcntl
import inspect
import mmap
import os
import signal
import socket
import sqlite3
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, Literal

from edge_autotuner.core.clock import SystemClock

How = Literal["before", "after", "torn", "full"]
"""a kill before it, after it, or in the middle of a write; or the disk is full for a while."""

_NOTE = struct.Struct("<QQQ")
_DISK_STEPS = ("pwrite", "fsync", "fdatasync", "replace", "rename", "link", "symlink", "unlink", "remove",
               "rmdir", "mkdir", "utime", "truncate", "ftruncate")  # fmt: skip
_NEED_SPACE = {"write", "pwrite", "fsync", "symlink", "link", "mkdir", "open", "sqlite write"}
_LINK_STEPS = ("connect", "send", "sendall", "sendmsg", "recv", "recv_into")
_CREATES = os.O_CREAT | os.O_TRUNC
_SQLITE_WRITES = ("INSERT", "UPDATE", "DELETE", "CREATE", "COMMIT", "REPLACE")


@dataclass(frozen=True)
class Plan:
    """What shall happen to a process.

    Attributes:
        stage: in which steps are counted.
        at: the step at which it happens, from 1; None: only count.
        how: what happens.
        n_refusals: so often the full disk refuses.
        skew_s: how far the clock of the process is off.
    """

    stage: str
    at: int | None = None
    how: How = "before"
    n_refusals: int = 0
    skew_s: float = 0.0


@dataclass(frozen=True)
class Noted:
    """What a process has told about itself until its end.

    Attributes:
        n_steps: in the stage.
        was_hit: whether the step of the plan was reached.
        n_refused: how often the disk was full.
    """

    n_steps: int
    was_hit: bool
    n_refused: int


def read_note(path: Path) -> Noted:
    """Return what a process has told; also after its kill."""
    n_steps, was_hit, n_refused = _NOTE.unpack(path.read_bytes())
    return Noted(n_steps, bool(was_hit), n_refused)


class Watch:
    """Counts the steps of this process, and does what the plan says.

    Args:
        plan: what shall happen.
        note: file that takes the numbers.
    """

    def __init__(self, plan: Plan, note: Path) -> None:
        self._plan = plan
        note.write_bytes(_NOTE.pack(0, 0, 0))
        with note.open("r+b") as file:
            self._note = mmap.mmap(file.fileno(), _NOTE.size)  # the kernel keeps it after a kill
        self._lock = threading.Lock()
        self._n_open = 0
        self._n_steps = self._n_refused = 0
        self._was_hit = False
        self._threads: tuple[str, ...] = ()
        _wrap_disk(self)
        _wrap_link(self)
        _wrap_sqlite(self)
        if plan.skew_s:
            _skew_clock(plan.skew_s)

    def only_in_threads(self, *names: str) -> None:
        """Count in threads of these names only."""
        self._threads = names

    def stage(self, name: str, work: Callable[..., Any], *, for_good: bool = False) -> Callable[..., Any]:
        """Return `work`, during which the process is in the stage `name`, and `for_good` also after it."""
        if name != self._plan.stage:
            return work

        @wraps(work)
        def counted(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401
            with self._lock:
                self._n_open += 1
            try:
                return work(*arguments, **more)
            finally:
                if not for_good:
                    with self._lock:
                        self._n_open -= 1

        return counted

    def enter(self) -> None:
        """Be in the stage from now on."""
        with self._lock:
            self._n_open += 1

    @property
    def counts_in(self) -> str:
        """The stage of the plan."""
        return self._plan.stage

    def forget(self) -> None:
        """Let nothing more happen to this process."""
        self._plan = Plan("")
        self._n_open = 0

    def step(self, name: str, carry_out: Callable[[], Any], tear: Callable[[], Any] | None = None) -> Any:  # noqa: ANN401
        """Carry out a step, unless it is the one of the plan.

        Args:
            name: what it does.
            carry_out: does it.
            tear: does half of it, where that is possible.
        """
        if not self._n_open or (self._threads and not threading.current_thread().name.startswith(self._threads)):
            return carry_out()
        with self._lock:
            self._n_steps += 1
            is_it = self._n_steps == self._plan.at
            self._was_hit = self._was_hit or is_it
            self._tell()
        if self._plan.how == "full":
            self._refuse_if_full(name)
            return carry_out()
        if is_it:
            try:
                if self._plan.how == "torn" and tear is not None:
                    tear()
                elif self._plan.how == "after":
                    carry_out()
            finally:  # also where it fails, as the deletion of what is not there
                os.kill(os.getpid(), signal.SIGKILL)
        return carry_out()

    def _refuse_if_full(self, name: str) -> None:
        with self._lock:
            if not self._was_hit or name not in _NEED_SPACE or self._n_refused >= self._plan.n_refusals:
                return
            self._n_refused += 1
            self._tell()
        if name == "sqlite write":
            raise sqlite3.OperationalError("database or disk is full")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _tell(self) -> None:
        self._note[:] = _NOTE.pack(self._n_steps, self._was_hit, self._n_refused)


def _wrap_disk(watch: Watch) -> None:
    write = os.write
    for name in _DISK_STEPS:
        _wrap(watch, os, name)
    _wrap(watch, fcntl, "flock")

    def torn_write(handle: int, data: Any) -> int:  # noqa: ANN401 (a buffer)
        return int(
            watch.step("write", lambda: write(handle, data), lambda: write(handle, bytes(data)[: len(data) // 2]))
        )

    os.write = torn_write

    def opened(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _CREATES:
            watch.step("open", lambda: None)

    sys.addaudithook(opened)


def _wrap_link(watch: Watch) -> None:
    for name in _LINK_STEPS:
        _wrap(watch, socket.socket, name)


def _wrap(watch: Watch, owner: Any, name: str) -> None:  # noqa: ANN401 (a module or a class)
    original = getattr(owner, name)

    def call(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401
        return watch.step(name, lambda: original(*arguments, **more))

    setattr(owner, name, call)


def _wrap_sqlite(watch: Watch) -> None:
    def kind(statement: str) -> str:
        return "sqlite write" if statement.lstrip().upper().startswith(_SQLITE_WRITES) else "sqlite read"

    class CountedCursor(sqlite3.Cursor):
        def execute(self, statement: str, *arguments: Any) -> Any:  # noqa: ANN401
            return watch.step(kind(statement), lambda: super(CountedCursor, self).execute(statement, *arguments))

        def executemany(self, statement: str, *arguments: Any) -> Any:  # noqa: ANN401
            return watch.step(kind(statement), lambda: super(CountedCursor, self).executemany(statement, *arguments))

    class CountedConnection(sqlite3.Connection):
        def cursor(self, factory: Any = CountedCursor) -> Any:  # noqa: ANN401
            return super().cursor(factory)

        def execute(self, statement: str, *arguments: Any) -> Any:  # noqa: ANN401
            return self.cursor().execute(statement, *arguments)

        def commit(self) -> None:
            watch.step("sqlite write", super().commit)

    connect: Any = sqlite3.connect

    def counted_connect(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401
        return connect(*arguments, **{"factory": CountedConnection, **more})

    for module in (sqlite3, sqlite3.dbapi2):
        setattr(module, "connect", counted_connect)  # noqa: B010 (to mypy, the module has the original)


def _skew_clock(skew_s: float) -> None:
    now = SystemClock.now

    def skewed(self: SystemClock) -> datetime:
        return now(self) + timedelta(seconds=skew_s)

    SystemClock.now = skewed  # type: ignore[method-assign]


def wrap_method(watch: Watch, owner: Any, method: str, stage: str) -> None:  # noqa: ANN401 (a module or a class)
    """Let the process be in a stage from the first call of a function of the product on.

    Args:
        watch: counts.
        owner: module or class of the function.
        method: its name.
        stage: that begins with it.
    """
    original = getattr(owner, method)
    if inspect.iscoroutinefunction(original):

        @wraps(original)
        async def call(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401
            watch.stage(stage, lambda: None, for_good=True)()
            return await original(*arguments, **more)

        setattr(owner, method, call)
    else:
        setattr(owner, method, watch.stage(stage, original, for_good=True))
