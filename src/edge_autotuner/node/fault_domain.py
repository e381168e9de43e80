"""Fault domains: a failure of secondary work never ends the detection on any camera.

Each camera's watch, learner, model and records, each output, the registry and the housekeeping has its own domain.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from edge_autotuner.core import Backoff, Clock
from edge_autotuner.errors import EdgeAutotunerError

logger = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
_QUIET_S = 10.0  # shortest time between two lines of the log, whatever flickers
_FIRST_REMINDER_S = 60.0  # of a problem that stays; doubles each time
_LONGEST_REMINDER_S = 3600.0

Result = TypeVar("Result")
Default = TypeVar("Default")


class FaultDomain:
    """Runs work and contains its failures; thread-safe.

    A failure is logged once, and again at growing intervals while it stays the same. After a failure the work rests,
    each time for twice as long; requests meanwhile are skipped.

    Args:
        first_retry_s: pause after the first failure, seconds; 0: the work never rests.

    Attributes:
        problem: why the last attempt failed; None if it did not.
        n_failures: failed attempts in all.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        first_retry_s: float = FIRST_RETRY_S,
        longest_retry_s: float = LONGEST_RETRY_S,
    ) -> None:
        self.name = name
        self.problem: str | None = None
        self.n_failures = 0
        self._clock = clock
        self._backoff = Backoff(first_retry_s, longest_retry_s)
        self._reminders = Backoff(_FIRST_REMINDER_S, _LONGEST_REMINDER_S)
        self._not_before_s = self._said_s = self._say_again_s = float("-inf")
        self._said: str | None = None  # the problem that was logged
        self._lock = threading.Lock()

    @property
    def is_resting(self) -> bool:
        """Whether the next attempt has to wait."""
        return self._clock.monotonic_s() < self._not_before_s

    def attempt(self, work: Callable[[], Result], default: Default) -> Result | Default:
        """Do the work and return its result; return the default when it fails or rests."""
        if self.is_resting:
            return default
        try:
            result = work()
        except (EdgeAutotunerError, OSError) as exc:  # of the world: a disk, a file, a process
            self._fail(str(exc) or type(exc).__name__, exc)
            return default
        except Exception as exc:  # the edge of the domain
            self._fail(f"unexpected {type(exc).__name__}: {exc}", exc)
            return default
        self._recover()
        return result

    def do(self, work: Callable[[], object]) -> bool:
        """Do the work; return whether it was done, False when it failed or rests."""
        return self.attempt(lambda: (work(), True)[1], False)

    def _fail(self, problem: str, exc: Exception) -> None:
        now_s = self._clock.monotonic_s()
        with self._lock:
            self.n_failures += 1
            self._not_before_s = now_s + self._backoff.next_wait_s()
            is_news = problem != self._said
            is_due = now_s >= (self._said_s + _QUIET_S if is_news else self._say_again_s)
            if is_due:
                if is_news:
                    self._reminders.reset()
                self._said, self._said_s = problem, now_s
                self._say_again_s = now_s + self._reminders.next_wait_s()
            self.problem = problem
        if is_due:
            where = None if isinstance(exc, EdgeAutotunerError | OSError) else exc
            logger.error("%s: %s; everything else continues", self.name, problem, exc_info=where)

    def _recover(self) -> None:
        if self.problem is None:
            return
        now_s = self._clock.monotonic_s()
        with self._lock:
            self._backoff.reset()
            self.problem, self._not_before_s = None, float("-inf")
            is_due = self._said is not None and now_s >= self._said_s + _QUIET_S
            if is_due:
                self._said, self._said_s = None, now_s
        if is_due:
            logger.info("%s: works again", self.name)


class FaultDomains:
    """The domains of a node, by name, created on demand."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._domains: dict[str, FaultDomain] = {}
        self._lock = threading.Lock()

    def of(self, name: str, *, first_retry_s: float = FIRST_RETRY_S) -> FaultDomain:
        """Return the domain of some work.

        Args:
            name: of the work.
            first_retry_s: as in `FaultDomain`; used when the domain is created.
        """
        with self._lock:
            if name not in self._domains:
                self._domains[name] = FaultDomain(name, self._clock, first_retry_s=first_retry_s)
            return self._domains[name]

    @property
    def problems(self) -> dict[str, str]:
        """The present problems, by the name of the work."""
        with self._lock:
            domains = list(self._domains.values())
        return {domain.name: domain.problem for domain in domains if domain.problem is not None}
