"""Scheduled garbage collection.

Every process checks now and then whether a collection is due by the audit log. The one that adds the entry of its begin
carries it out, so processes with one database take turns.

A clock that jumps ahead makes everything look old. A collection that comes much later than planned, or before the last
one, therefore deletes nothing and is only recorded; the next one deletes, if the clock was steady in between.
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
"""Client of scheduled collections in the audit log; no client can have this name."""

LOOK_S = 900.0
"""Longest time between two checks of a process."""

RETRY_S = 300.0
"""Time from a failed attempt to the next one."""

CONFIRM_S = 3600.0
"""Time from a collection that was only recorded to the next one."""

MAX_LATE_S = 3600.0
"""Delay of a collection up to which its clock is trusted."""

_MAX_EARLY_S = 60.0  # by which the clocks of two machines with one database may differ
_CLOSE_WAIT_S = 20.0

_ACTION = "collection"
_BEGUN, _ONLY_NOTED = "begun", "only-noted"


class CollectionSchedule:
    """Collects garbage in a thread, from `start` to `stop`.

    Args:
        audit: records the collections.
        every_s: time between two collections; None: never.
        first_after_s: time from the start to the first check.
        also: further work of a collection.
        chores: work of each process at each check, for what it does not share, such as its result cache.
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
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Start no further collection; one that runs ends after its next step."""
        self._is_stopping.set()

    def close(self) -> None:
        """Stop, and wait a while for a collection that runs."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_WAIT_S)

    def look(self) -> float:
        """Do the chores, and collect if due; errors are logged. Return the seconds until the next check."""
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
        """Carry out a collection that is due; return the time until the next one."""
        wait_s, is_begun = self._begin(every_s)
        if is_begun:
            removed = self._registry.collect_garbage(client=SCHEDULE, should_stop=self._is_stopping.is_set)
            for remove in self._also:
                remove()
            self._is_owed = False
            self._note(removed)
        return wait_s

    def _begin(self, every_s: float) -> tuple[float, bool]:
        """Return the time until the next check, and whether this process has begun a collection."""
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
        logger.warning("nothing is deleted now, but in %.0f s if the clock stays steady: %s", wait_s, doubt)
        self._metrics.collections.labels(_ONLY_NOTED).inc()
        return wait_s, False

    def _passed_s(self, last: AuditEntry | None) -> float | None:
        return None if last is None else (self._clock.now() - last.at).total_seconds()

    def _note(self, removed: CollectedGarbage) -> None:
        now = self._clock.now()
        self._metrics.collections.labels("done").inc()
        self._metrics.last_collection_time.set(now.timestamp())
        self._metrics.last_collection_bytes.set(removed.n_bytes)
        text = "collected %d bundles and %d blobs, %d bytes"
        logger.info(text, len(removed.bundles), len(removed.blobs), removed.n_bytes)


def _attempt(work: Callable[[], _Result]) -> _Result | None:
    """Return the result of some work, None if it failed."""
    try:
        return work()
    except (EdgeAutotunerError, Problem) as exc:
        logger.error("garbage collection failed; next attempt in %.0f s: %s", RETRY_S, exc)
    except Exception:  # the edge of the thread
        logger.exception("garbage collection failed; next attempt in %.0f s", RETRY_S)
    return None


def _doubt(passed_s: float | None, planned_s: float) -> str | None:
    """Return why the clock is not trusted yet, None if it is."""
    if passed_s is None:
        return "there was no garbage collection before"
    if passed_s < -_MAX_EARLY_S:
        return f"the last garbage collection was {-passed_s:.0f} s in the future: the clock was set back"
    if passed_s > planned_s + MAX_LATE_S:
        return f"the last garbage collection was {passed_s:.0f} s ago: the clock was set, or the service did not run"
    return None
