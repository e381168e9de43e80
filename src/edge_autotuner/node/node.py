"""The edge node: watches all cameras, and specializes their models one after the other.

DIR/CAMERA/        the folder of each camera; see `camera_folder`
DIR/status.json    the state of every camera and output, for people and watchdogs
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from edge_autotuner.config.node import NodeConfig
from edge_autotuner.core import Clock, SystemClock
from edge_autotuner.core.redaction import redact_values
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.node.camera_watch import CameraWatch
from edge_autotuner.node.fault_domain import FaultDomain, FaultDomains
from edge_autotuner.node.learning_scheduler import (
    Command,
    Learner,
    LearningScheduler,
    first_model_command,
    worker_command,
)
from edge_autotuner.node.named_bundle import NamedBundles
from edge_autotuner.node.outputs import Outputs
from edge_autotuner.node.retention import Retention, cameras_in
from edge_autotuner.node.settings_check import check_can_start
from edge_autotuner.storage.atomic import atomic_write_json, make_folder, remove_leftovers
from edge_autotuner.storage.lock import FolderLock

if TYPE_CHECKING:
    from edge_autotuner.node.registry_sync import RegistrySync

logger = logging.getLogger(__name__)

_STATUS_FILE = "status.json"
_CONTROL_EVERY_S = 0.05  # how finely the CPU budget is kept
_LOOK_FOR_WORK_EVERY_S = 1.0
_HOUSEKEEPING_EVERY_S = 2.0
_RETENTION_EVERY_S = 600.0
_STOPPING_S = 15.0


class Node:
    """All cameras of one machine.

    Mistakes in the settings are refused at the start. A later failure, or one of a single camera, stays within its
    fault domain: it is reported and retried with backoff, and all cameras are still watched.

    All state is in the folder: after a kill, a new node with the same settings continues.

    Args:
        command: what starts the learning process; None for that of this package.

    Raises:
        DatasetError: another node works in this folder.
        ConfigError: the settings cannot work: a camera would never get a first model, or a key cannot be used.
        StorageError: the folder cannot be made.
        MissingDependency: a library is not installed that learning needs.
    """

    def __init__(
        self,
        config: NodeConfig,
        *,
        outputs: Outputs,
        clock: Clock | None = None,
        command: Command | None = None,
    ) -> None:
        check_can_start(config)
        make_folder(config.folder)
        self._lock = FolderLock(config.folder)
        self._config, self._outputs, self._clock = config, outputs, clock or SystemClock()
        self._faults = FaultDomains(self._clock)
        self._stop = threading.Event()
        self._folders = {camera.name: CameraFolder(config.folder / camera.name) for camera in config.cameras}
        self._runs = runs = {camera.name: config.run_of(camera) for camera in config.cameras}
        self._watches = [
            CameraWatch(
                camera,
                runs[camera.name],
                config,
                self._folders[camera.name],
                clock=self._clock,
                faults=self._faults,
                outputs=outputs,
                on_change=outputs.tell,
            )
            for camera in config.cameras
        ]
        service = config.registry if config.trains_on == "service" else None
        self._named = NamedBundles(config)
        self._learners = [
            Learner(
                name,
                folder,
                runs[name],
                service,
                config.batch.trigger,
                waits_for_model=partial(self._named.gives_first_model, runs[name]),
            )
            for name, folder in self._folders.items()
        ]
        decides = config.registry.decides if config.registry else "node"
        self._scheduler = LearningScheduler(
            self._learners if config.learns else [],
            config.background,
            clock=self._clock,
            command=command or worker_command(config.background.priority, decides),
            first_command=command or first_model_command(),
        )
        self._registry = self._open_registry()
        self._retention = Retention(config.storage, self._clock, config.folder)
        self._kept_house_s = self._retained_s = self._looked_for_work_s = float("-inf")

    def run(self, on_status: Callable[[Mapping[str, Any]], None] | None = None) -> None:
        """Watch until `stop`, or until all sources are recordings that have ended and have been learned from.

        Args:
            on_status: called every few seconds with `status`.
        """
        try:
            self._start()
            while not self._stop.wait(_CONTROL_EVERY_S):
                self._control_learning()
                if self._clock.monotonic_s() - self._kept_house_s >= _HOUSEKEEPING_EVERY_S:
                    self._keep_house(on_status)
                    if self._faults.of("end").attempt(self._is_over, False):
                        return
        finally:
            self._end()

    def stop(self) -> None:
        """End `run` soon, from whatever thread or signal handler."""
        self._stop.set()

    def status(self) -> dict[str, Any]:
        """Return the state of every camera and output, and the present problems, JSON values."""
        learners = {learner.name: learner for learner in self._learners}
        registry = self._registry
        status = {
            "at": self._clock.now().isoformat(),
            "cameras": {watch.name: self._status_of(watch, learners[watch.name]) for watch in self._watches},
            "registry": self._faults.of("registry: status").attempt(lambda: registry.state, None) if registry else None,
            "outputs": self._faults.of("outputs: status").attempt(
                lambda: [asdict(output) for output in self._outputs.status], []
            ),
            "faults": self._faults.problems
            | self._faults.of("outputs: faults").attempt(lambda: self._outputs.problems, {}),
        }
        return dict(redact_values(status))

    def _start(self) -> None:
        """Start every camera that can start; the others are retried meanwhile."""
        self._faults.of("leftovers").do(lambda: remove_leftovers(self._config.folder))
        for watch in self._watches:
            self._faults.of(f"{watch.name}: leftovers").do(self._folders[watch.name].remove_leftovers)
            self._faults.of(f"{watch.name}: damage").do(self._folders[watch.name].set_aside_damage)
            self._refresh(watch)
            self._faults.of(f"{watch.name}: watch").do(watch.start)
        if self._registry is not None:
            self._faults.of("registry").do(self._registry.start)

    def _status_of(self, watch: CameraWatch, learner: Learner) -> dict[str, Any]:
        faults = self._faults.of(f"{watch.name}: status", first_retry_s=0)
        last = faults.attempt(learner.folder.last_outcome, None)
        state = faults.attempt(lambda: watch.state, None) or _unknown_state(faults)
        return {
            **state,
            "refused_model": state["refused_model"] or self._faults.of(f"{watch.name}: model").problem,
            "is_learning": self._learning_camera() == watch.name,
            "learning": learner.doing,
            "learning_problem": learner.error or learner.faults.problem,
            "last_outcome": f"{last.outcome}: {last.reason}" if last else None,
        }

    def _keep_house(self, on_status: Callable[[Mapping[str, Any]], None] | None) -> None:
        """Load new models, write the status, and from time to time apply the retention rules."""
        self._kept_house_s = self._clock.monotonic_s()
        for watch in self._watches:
            self._faults.of(f"{watch.name}: watch").do(watch.keep_alive)
            self._refresh(watch)
        status = self.status()
        self._faults.of("status.json").do(
            lambda: atomic_write_json(self._config.folder / _STATUS_FILE, status, indent=2)
        )
        self._faults.of("ages").do(self._retention.observe)
        if self._kept_house_s - self._retained_s >= _RETENTION_EVERY_S:
            self._retained_s = self._kept_house_s
            self._apply_retention()
        if on_status is not None:
            self._faults.of("screen").do(lambda: on_status(status))

    def _apply_retention(self) -> None:
        """Delete what is old, also of cameras that are no longer watched; each camera has its own fault domain."""
        in_use = frozenset(self._folders) if self._config.learns else frozenset()
        for camera in self._faults.of("retention").attempt(lambda: list(cameras_in(self._config.folder)), []):
            faults = self._faults.of(f"{camera.path.name}: retention")
            faults.do(lambda of=camera: self._retention.apply(of, is_in_use=of.path.name in in_use))  # type: ignore[misc]

    def _open_registry(self) -> RegistrySync | None:
        if self._config.registry is None:
            return None
        from edge_autotuner.node.registry_sync import RegistrySync  # needs libraries that only it needs

        return RegistrySync(self._folders, self._config.cameras, self._config.registry)

    def _control_learning(self) -> None:
        """Keep a running process in its budget; without one, look for work on the disk now and then."""
        now_s = self._clock.monotonic_s()
        if self._learning_camera() is not None or now_s - self._looked_for_work_s >= _LOOK_FOR_WORK_EVERY_S:
            self._looked_for_work_s = now_s
            self._faults.of("learning").do(self._scheduler.control)

    def _learning_camera(self) -> str | None:
        return self._faults.of("learning: state").attempt(lambda: self._scheduler.busy_with, None)

    def _refresh(self, watch: CameraWatch) -> None:
        """Load the deployed bundle of a camera; install the named one first if the camera has none."""
        self._faults.of(f"{watch.name}: model").do(lambda: self._take_over_model(watch))

    def _take_over_model(self, watch: CameraWatch) -> None:
        folder = self._folders[watch.name]
        if folder.has_broken_link:
            folder.set_aside_damage()
        self._named.install(folder, self._runs[watch.name])
        if watch.model.refresh() and watch.model.detector is not None:
            self._outputs.announce(watch.name, watch.model.detector.labels)

    def _is_over(self) -> bool:
        """Whether all sources have ended, and each batch has been learned from or has failed."""
        if not all(watch.is_over for watch in self._watches) or self._scheduler.busy_with is not None:
            return False
        return not self._config.learns or not any(
            learner.error is None and learner.faults.attempt(learner.has_work, False) for learner in self._learners
        )

    def _end(self) -> None:
        """Stop everything; a part that does not end is left to the system."""
        end = self._faults.of("end", first_retry_s=0)
        for watch in self._watches:
            end.do(watch.stop)
        if self._registry is not None:
            end.do(self._registry.stop)
        end.do(self._scheduler.stop)
        until_s = self._clock.monotonic_s() + _STOPPING_S
        if (registry := self._registry) is not None:
            end.do(lambda: registry.join(_STOPPING_S))
        for watch in self._watches:
            left_s = max(0.1, until_s - self._clock.monotonic_s())
            if not end.attempt(lambda of=watch, s=left_s: of.join(s), True):  # type: ignore[misc]
                logger.warning("%s: the camera does not close; leaving it to the system", watch.name)
        self._lock.release()


def _unknown_state(faults: FaultDomain) -> dict[str, Any]:
    """Return the state of a camera whose watch fails to tell it."""
    return {
        "source": None,
        "state": "unknown",
        "problem": faults.problem or "state unknown",
        "model": None,
        "refused_model": None,
        "detect_mode": None,
        "n_frames": None,
        "n_looked": None,
    }
