"""Starts the learning process of one camera after the other, keeps it within its budgets, and tries again later."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_autotuner.config import RunConfig
from edge_autotuner.config.node import LearningConfig, LearningProcessConfig, RegistryConfig
from edge_autotuner.core import Backoff, Clock, SystemClock
from edge_autotuner.core.plugins import TRIGGERS
from edge_autotuner.deployment import deployed_bundle
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.node.cpu_budget import CpuBudget
from edge_autotuner.node.fault_domain import FaultDomain
from edge_autotuner.node.learning_rules import LearnerOrder, LearningTrigger, RoundRobin
from edge_autotuner.node.memory_budget import MemoryBudget, memory_shortage
from edge_autotuner.pipeline.privacy import needs_hiding_model
from edge_autotuner.storage.atomic import atomic_write_text, make_folder
from edge_autotuner.storage.child_process import MessagingProcess, module_command

logger = logging.getLogger(__name__)

_ENDING_S = 10.0  # from SIGTERM to SIGKILL
_LOOK_AT_MEMORY_EVERY_S = 0.25
Command = Callable[[Path, Path], Sequence[str]]


@dataclass
class Learner:
    """One camera, as the scheduler sees it.

    Attributes:
        folder: what it keeps.
        service: that trains; None: training is done here.
        trigger: name of what decides from which batch it learns, and when.
        waits_for_model: whether its first model comes from elsewhere; until it is there, nothing is learned.
        doing: the last progress of its process, JSON values.
        error: why the last attempt failed; None if it did not.
        n_failures: failed attempts since the last success.
        not_before_s: the next attempt is not earlier, monotonic.
    """

    name: str
    folder: CameraFolder
    config: RunConfig
    service: RegistryConfig | None = None
    trigger: str = "closed"
    waits_for_model: Callable[[], bool] = lambda: False
    doing: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    n_failures: int = 0
    not_before_s: float = 0.0
    faults: FaultDomain = field(init=False)
    _next_batch: LearningTrigger = field(init=False)

    def __post_init__(self) -> None:
        self.faults = FaultDomain(f"{self.name}: learning", SystemClock(), first_retry_s=0)  # rests by `not_before_s`
        self._next_batch = TRIGGERS.load(self.trigger)

    def has_work(self) -> bool:
        """Whether there is something to do: a first model, a model that finds what to hide, or a batch."""
        if deployed_bundle(self.folder.path) is None:
            return not self.waits_for_model()
        return needs_hiding_model(self.config, self.folder.path) or self._next_batch(self.folder) is not None


class LearningScheduler:
    """Runs at most one learning process at a time; the cameras take turns, and a failure affects one camera only.

    Call `control` often, from the thread that made this object: the process dies with that thread.

    Args:
        command: starts the process for a camera's folder and settings file; None: the worker of this package.
        first_command: starts it where the camera has no model yet, without a CPU budget, because the detection waits
            for it; None: the same, within the budget.
        order: decides which camera learns first; None: they take turns.
    """

    def __init__(
        self,
        learners: Sequence[Learner],
        config: LearningProcessConfig,
        *,
        clock: Clock,
        command: Command | None = None,
        first_command: Command | None = None,
        order: LearnerOrder | None = None,
    ) -> None:
        self._learners = {learner.name: learner for learner in learners}
        self._config, self._clock = config, clock
        self._command = command or worker_command(config.priority)
        self._first_command = first_command
        self._order = order or RoundRobin()
        self._retries = {name: Backoff(config.first_retry_s, config.longest_retry_s) for name in self._learners}
        self._max_cores = config.max_cpu_percent / 100 * len(os.sched_getaffinity(0))
        self._process: LearningProcess | None = None

    @property
    def busy_with(self) -> str | None:
        """Name of the camera that learns now; None if none does."""
        return self._process.learner.name if self._process else None

    def control(self) -> None:
        """Start due work, keep running work within its budgets, and settle finished work."""
        process = self._process
        if process is None:
            self._start_next()
        elif process.has_ended:
            self._process = None
            self._settle(process)
        elif not process.learner.faults.do(process.keep_in_budget):
            self._process = None
            process.kill()
            self._put_off(process.learner, process.learner.faults.problem)

    def stop(self) -> None:
        """End the process, if one runs; what it has done is kept."""
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _start_next(self) -> None:
        now_s = self._clock.monotonic_s()
        for learner in [self._learners[name] for name in self._order.sort(list(self._learners))]:
            if learner.not_before_s <= now_s and self._finds_work(learner):
                self._order.note_turn(learner.name)
                self._process = learner.faults.attempt(lambda of=learner: self._begin(of), None)  # type: ignore[misc]
                if self._process is not None:
                    return
                self._put_off(learner, learner.faults.problem)

    def _finds_work(self, learner: Learner) -> bool:
        """Whether there is something to do; damaged records are set aside, so that the next look finds out."""
        has_work = learner.faults.attempt(learner.has_work, None)
        if has_work is None and not learner.faults.attempt(learner.folder.set_aside_damage, False):
            self._put_off(learner, learner.faults.problem)
        return bool(has_work)

    def _begin(self, learner: Learner) -> LearningProcess:
        """Start the process of a camera.

        Raises:
            LearningPutOff: there is not enough memory.
            StorageError: the disk refuses its settings.
            OSError: the system refuses a process.
        """
        shortage = memory_shortage(self._config.min_free_memory_mb)
        if shortage is not None:
            raise LearningPutOff(f"not enough memory to learn: {shortage}")
        command, max_cores = self._command, self._max_cores
        if self._first_command is not None and deployed_bundle(learner.folder.path) is None:
            command, max_cores = self._first_command, float(len(os.sched_getaffinity(0)))
        return LearningProcess(learner, command, self._config, max_cores=max_cores, clock=self._clock)

    def _settle(self, process: LearningProcess) -> None:
        learner, code = process.learner, process.exit_code
        learner.doing = {}
        if process.ended_because is not None:
            self._put_off(learner, process.ended_because)
        elif code == 0:
            learner.error, learner.n_failures = None, 0
            self._retries[learner.name].reset()
        else:
            self._put_off(learner, process.error or _how_it_ended(code))

    def _put_off(self, learner: Learner, error: str | None) -> None:
        learner.doing = {}
        learner.error = error or "learning failed"
        learner.n_failures += 1
        wait_s = self._retries[learner.name].next_wait_s()
        learner.not_before_s = self._clock.monotonic_s() + wait_s
        logger.error("%s: %s; next attempt in %.0f s", learner.name, learner.error, wait_s)


class LearningPutOff(EdgeAutotunerError):
    """Learning cannot start now; it is tried again later."""


def _how_it_ended(code: int) -> str:
    if code == -signal.SIGKILL:
        return "the learning process was killed by the kernel (out of memory) or by a user"
    return f"the learning process exited with code {code}"


def worker_command(priority: str, decides: str = "node") -> Command:
    """Return the command of this package's worker; see `LearningProcessConfig` and `RegistryConfig`."""

    def command(folder: Path, settings: Path) -> Sequence[str]:
        return module_command("edge_autotuner.node.worker", folder, settings, priority, decides, os.getpid())

    return command


def first_model_command() -> Command:
    """Return a command that makes a camera's first model, at the priority of detection, which waits for it."""
    command = worker_command("normal")
    return lambda folder, settings: [*command(folder, settings), "first"]


class LearningProcess:
    """A process that learns for one camera, within its budgets of CPU time and memory.

    Attributes:
        error: what the process said went wrong.
        ended_because: why it was ended before it was done; None if it was not.

    Raises:
        StorageError: the disk refuses its settings.
        OSError: the system refuses a process.
    """

    def __init__(
        self, learner: Learner, command: Command, config: LearningProcessConfig, *, max_cores: float, clock: Clock
    ) -> None:
        self.learner = learner
        self.error: str | None = None
        self.ended_because: str | None = None
        settings = learner.folder.learning_settings
        make_folder(learner.folder.path)
        told = LearningConfig(run=learner.config, service=learner.service, trigger=learner.trigger)
        atomic_write_text(settings, json.dumps(told.model_dump(mode="json")))  # JSON is YAML, too
        self._process = MessagingProcess(command(learner.folder.path, settings), self._take, name=learner.name)
        self._cpu = CpuBudget(self._process.pid, max_cores, clock)
        self._memory = MemoryBudget(
            self._process.pid, max_mb=config.max_memory_mb, min_free_mb=config.min_free_memory_mb
        )
        self._clock, self._looked_at_memory_s = clock, float("-inf")
        logger.info("%s: learning", learner.name)

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.has_ended

    @property
    def exit_code(self) -> int:
        """Its exit code, below 0 for a signal."""
        return self._process.exit_code

    def keep_in_budget(self) -> None:
        """Pause or continue the process by its CPU time, and end it when it takes too much memory."""
        self._cpu.control()
        now_s = self._clock.monotonic_s()
        if self.ended_because is not None or now_s - self._looked_at_memory_s < _LOOK_AT_MEMORY_EVERY_S:
            return
        self._looked_at_memory_s = now_s
        self.ended_because = self._memory.excess()
        if self.ended_because is not None:
            self.kill()

    def kill(self) -> None:
        """End the process and its children at once: what it has done is on the disk."""
        self._process.kill_group()

    def end(self) -> None:
        """Interrupt the process, and kill it if it takes too long."""
        self._cpu.release()
        self._process.end(patience_s=_ENDING_S)

    def _take(self, message: Mapping[str, Any]) -> None:
        self.error = message.get("error", self.error)
        self.learner.doing = dict(message)
