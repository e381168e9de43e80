"""The service removes by itself what its rules do not keep.

Each process looks now and then. The audit log says whether a collection is due, and whoever adds the entry that it has
begun carries it out: so processes with one database take turns.

A clock that jumps ahead makes everything look old. A collection that comes much later than planned, or before the last
one, therefore removes nothing and is only noted; the next one removes, if the clock has gone on as it should.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.server.audit import AuditEntry, AuditLog
from edge_autotuner.server.database import Database
from edge_autotuner.server.metrics import Metrics
from edge_autotuner.server.problems import Problem
from edge_autotuner.server.registry import Registry
from edge_autotuner.wire.registry_messages import CollectedGarbage

_Result = TypeVar("_Result")

logger = logging.getLogger(__name__)

SCHEDULE = "(schedule)"
"""Who acts when nobody asked; no client can have this name."""

LOOK_S = 900.0
"""Longest time between two looks of a process."""

RETRY_S = 300.0
"""Time until the next attempt after one that failed."""

CONFIRM_S = 3600.0
"""Time from a collection that was only noted to the next one."""

MAX_LATE_S = 3600.0
"""How much later than planned a collection may be for its clock to be believed."""

_MAX_EARLY_S = 60.0  # by which the clocks of two machines with one database may differ
_CLOSE_WAIT_S = 20.0

_ACTION = "collection"
_BEGUN, _ONLY_NOTED = "begun", "only-noted"


class CollectionSchedule:
    """Collects garbage from a thread of its own, from `start` to `stop`.

    Args:
        registry: removes bundles and contents.
        database: of the registry.
        audit: says when the last collection was.
        metrics: told of each.
        every_s: time between two collections; None: never.
        first_after_s: time from the start to the first look.
        also: what a collection removes besides.
        chores: what each process does at each look, for what only it has, such as its result cache.
        clock: its wall time decides what is due.
    """

    def __init__(
        self,
        registry: Registry,
        database: Database,
        audit: AuditLog,
        metrics: Metrics,
        *,
        every_s: float | None,
        first_after_s: float,
        also: Sequence[Callable[[], None]] = (),
        chores: Sequence[Callable[[], None]] = (),
        clock: Clock | None = None,
    ) -> None:
        self._registry = registry
        self._database = database
        self._audit = audit
        self._metrics = metrics
        self._every_s = every_s
        self._first_after_s = first_after_s
        self._also = also
        self._chores = chores
        self._clock = clock or SystemClock()
        self._is_owed = False
        self._is_stopping = threading.Event()
        # A daemon: a database that does not answer must not keep a service alive that is being stopped.
        self._thread = threading.Thread(target=self._run, name="collection", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing any more; a collection under way ends after its next step."""
        self._is_stopping.set()

    def close(self) -> None:
        """Stop, and wait a while for what is under way."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_WAIT_S)

    def look(self) -> float:
        """Do the chores, and collect if it is due; errors are logged. Return the seconds until the next look."""
        for chore in self._chores:
            _attempt(chore)
        every_s = self._every_s
        if every_s is None or self._is_stopping.is_set():
            return LOOK_S
        wait_s = _attempt(lambda: self._wait_or_collect(every_s))
        if wait_s is None:
            self._metrics.collections.labels("failed").inc()
            self._is_owed = True
            return RETRY_S
        return min(wait_s, LOOK_S)

    def _run(self) -> None:
        wait_s = self._first_after_s
        while not self._is_stopping.wait(wait_s):
            wait_s = _attempt(self.look) or RETRY_S

    def _wait_or_collect(self, every_s: float) -> float:
        """Return the time until a collection is due, after carrying one out that is."""
        wait_s, is_begun = self._begin(every_s)
        if is_begun:
            removed = self._registry.collect_garbage(client=SCHEDULE, should_stop=self._is_stopping.is_set)
            for remove in self._also:
                remove()
            self._is_owed = False
            self._note(removed)
        return wait_s

    def _begin(self, every_s: float) -> tuple[float, bool]:
        """Return the time until the next look, and whether this process has begun a collection."""
        with self._database.writing() as connection:
            last = self._audit.last_of(connection, _ACTION)
            planned_s = every_s if last is not None and last.outcome == _BEGUN else min(every_s, CONFIRM_S)
            passed_s = self._passed_s(last)
            doubt = _doubt(passed_s, planned_s)
            if doubt is None and passed_s is not None and passed_s < planned_s and not self._is_owed:
                return planned_s - passed_s, False
            outcome = _BEGUN if doubt is None else _ONLY_NOTED
            self._audit.append(
                connection, _ACTION, client=SCHEDULE, subject="-", outcome=outcome, detail=doubt or "as planned"
            )
        if doubt is None:
            return every_s, True
        wait_s = min(every_s, CONFIRM_S)
        logger.warning("nothing is removed now, but in %.0f s if the clock stays steady: %s", wait_s, doubt)
        self._metrics.collections.labels(_ONLY_NOTED).inc()
        return wait_s, False

    def _passed_s(self, last: AuditEntry | None) -> float | None:
        return None if last is None else (self._clock.now() - last.at).total_seconds()

    def _note(self, removed: CollectedGarbage) -> None:
        now = self._clock.now()
        self._metrics.collections.labels("done").inc()
        self._metrics.last_collection_time.set(now.timestamp())
        self._metrics.last_collection_bytes.set(removed.n_bytes)
        text = "collected %d bundles and %d contents, %d bytes"
        logger.info(text, len(removed.bundles), len(removed.blobs), removed.n_bytes)


def _attempt(work: Callable[[], _Result]) -> _Result | None:
    """Return what some work returns, None where it failed."""
    try:
        return work()
    except (EdgeAutotunerError, Problem) as exc:
        logger.error("what may go could not be removed; next attempt in %.0f s: %s", RETRY_S, exc)
    except Exception:  # the edge of the thread
        logger.exception("what may go could not be removed; next attempt in %.0f s", RETRY_S)
    return None


def _doubt(passed_s: float | None, planned_s: float) -> str | None:
    """Return why the clock is not to be believed yet, None if it is."""
    if passed_s is None:
        return "there was no collection before"
    if passed_s < -_MAX_EARLY_S:
        return f"the last collection was {-passed_s:.0f} s later than now: the clock was set back"
    if passed_s > planned_s + MAX_LATE_S:
        return f"the last collection was {passed_s:.0f} s ago: the clock was set, or the service did not run"
    return None
