"""Counts of an output; logs once when it stops working, and once when it works again."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from edge_autotuner.core.redaction import redact_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OutputStatus:
    """Counts and problem of one output.

    Attributes:
        n_sent: messages that were written, published or accepted.
        n_dropped: reports that the peer should have got and did not.
        n_failures: attempts that failed.
        problem: why it does not work at present, without secrets; None if it does.
        last_error: the last problem, without secrets; None if there was none.
    """

    name: str
    n_sent: int
    n_dropped: int
    n_failures: int
    problem: str | None
    last_error: str | None


class Tally:
    """Counts for one output; may be used by several threads."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._n_sent = self._n_dropped = self._n_failures = 0
        self._n_dropped_before = 0
        self._problem: str | None = None
        self._last_error: str | None = None

    @property
    def status(self) -> OutputStatus:
        """All counts of one moment."""
        with self._lock:
            counts = self._n_sent, self._n_dropped, self._n_failures
            return OutputStatus(self._name, *counts, self._problem, self._last_error)

    def add_sent(self, n: int = 1) -> None:
        """Count delivered messages."""
        with self._lock:
            self._n_sent += n

    def add_dropped(self, n: int = 1) -> None:
        """Count lost reports."""
        with self._lock:
            self._n_dropped += n

    def add_failure(self, reason: str) -> None:
        """Count a failed attempt; a new reason is logged."""
        reason = redact_text(reason)
        with self._lock:
            self._n_failures += 1
            is_new = self._problem != reason
            if self._problem is None:
                self._n_dropped_before = self._n_dropped
            self._problem = self._last_error = reason
        if is_new:
            logger.warning("output %s: %s; detection continues, and this output is retried", self._name, reason)

    def set_working(self) -> None:
        """Clear the problem; logged if there was one."""
        with self._lock:
            had_problem, self._problem = self._problem is not None, None
            n_lost = self._n_dropped - self._n_dropped_before
        if had_problem:
            logger.info("output %s works again; %d reports were dropped meanwhile", self._name, n_lost)
