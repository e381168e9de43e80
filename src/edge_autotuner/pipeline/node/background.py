"""Starts the learning process of one camera after the other, keeps it within its CPU share, and tries again later."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_autotuner.config import RunConfig
from edge_autotuner.config.node import BackgroundWorkConfig, LearningConfig, RegistryConfig
from edge_autotuner.core import Clock
from edge_autotuner.dataset import atomic_write_text
from edge_autotuner.deployment import deployed_bundle
from edge_autotuner.pipeline.background_process import ChildProcess
from edge_autotuner.pipeline.node.camera_folder import CameraFolder
from edge_autotuner.pipeline.node.cpu_budget import CpuBudget
from edge_autotuner.pipeline.privacy import needs_hiding_model

logger = logging.getLogger(__name__)

_ENDING_S = 10.0  # from SIGTERM to SIGKILL
_SETTINGS_FILE = "learning.yaml"
Command = Callable[[Path, Path], Sequence[str]]


@dataclass
class Learner:
    """One camera, as background work sees it.

    Attributes:
        name: of the camera.
        folder: what it keeps.
        config: how it learns.
        service: that trains; None: training is done here.
        doing: the last progress of its process, JSON values.
        error: why the last attempt failed; None if it did not.
    """

    name: str
    folder: CameraFolder
    config: RunConfig
    service: RegistryConfig | None = None
    doing: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    n_failures: int = 0
    not_before_s: float = 0.0

    def has_work(self) -> bool:
        """Whether there is something to do: a first model, one that finds what is to be hidden, or a batch."""
        lacks_model = deployed_bundle(self.folder.path) is None or needs_hiding_model(self.config, self.folder.path)
        return lacks_model or self.folder.waiting() is not None


class BackgroundWork:
    """At most one learning process at a time; the cameras take turns.

    `control` must be called often, by the thread that made this object: the process dies with that thread.

    Args:
        learners: the cameras.
        config: budget and patience.
        clock: of the budget.
        command: what to start for a camera's folder and its settings file; None for the worker of this package.
    """

    def __init__(
        self,
        learners: Sequence[Learner],
        config: BackgroundWorkConfig,
        *,
        clock: Clock,
        command: Command | None = None,
    ) -> None:
        self._learners, self._config, self._clock = list(learners), config, clock
        self._command = command or worker_command(config.priority)
        self._max_cores = config.max_cpu_percent / 100 * len(os.sched_getaffinity(0))
        self._running: _Running | None = None

    @property
    def busy_with(self) -> str | None:
        """Name of the camera that learns now; None if none does."""
        return self._running.learner.name if self._running else None

    def control(self) -> None:
        """Start what is due, keep what runs within its budget, and take note of what has ended."""
        if self._running is None:
            self._start_next()
        elif self._running.has_ended:
            self._settle(self._running)
            self._running = None
        else:
            self._running.budget.control()

    def stop(self) -> None:
        """End the process, if one runs; what it has done is kept."""
        if self._running is not None:
            self._running.end()
            self._running = None

    def _start_next(self) -> None:
        now_s = self._clock.monotonic_s()
        for learner in self._learners:
            if learner.not_before_s <= now_s and learner.has_work():
                self._running = _Running(learner, self._command, self._max_cores, self._clock)
                self._learners.remove(learner)
                self._learners.append(learner)
                return

    def _settle(self, run: _Running) -> None:
        learner, code = run.learner, run.exit_code
        learner.doing = {}
        if code == 0:
            learner.error, learner.n_failures = None, 0
            return
        learner.error = run.error or f"the learning process ended with code {code}"
        wait_s = min(self._config.first_retry_s * 2**learner.n_failures, self._config.longest_retry_s)
        learner.n_failures += 1
        learner.not_before_s = self._clock.monotonic_s() + wait_s
        logger.error("%s: %s; next attempt in %.0f s", learner.name, learner.error, wait_s)


def worker_command(priority: str, decides: str = "node") -> Command:
    """Return what starts the worker of this package; see `BackgroundWorkConfig` and `RegistryConfig`."""
    module = "edge_autotuner.pipeline.node.worker"

    def command(folder: Path, settings: Path) -> Sequence[str]:
        return [sys.executable, "-m", module, str(folder), str(settings), priority, decides, str(os.getpid())]

    return command


class _Running:
    """A learning process, and what it says."""

    def __init__(self, learner: Learner, command: Command, max_cores: float, clock: Clock) -> None:
        self.learner = learner
        self.error: str | None = None
        settings = learner.folder.path / _SETTINGS_FILE
        learner.folder.path.mkdir(parents=True, exist_ok=True)
        told = LearningConfig(run=learner.config, service=learner.service)
        atomic_write_text(settings, json.dumps(told.model_dump(mode="json")))  # JSON is YAML, too
        self._process = ChildProcess(command(learner.folder.path, settings), self._take, name=learner.name)
        self.budget = CpuBudget(self._process.pid, max_cores, clock)
        logger.info("%s: learning", learner.name)

    @property
    def has_ended(self) -> bool:
        return self._process.has_ended

    @property
    def exit_code(self) -> int:
        return self._process.exit_code

    def end(self) -> None:
        """Interrupt the process, and kill it if it takes too long."""
        self.budget.release()
        self._process.end(patience_s=_ENDING_S)

    def _take(self, message: Mapping[str, Any]) -> None:
        self.error = message.get("error", self.error)
        self.learner.doing = dict(message)
