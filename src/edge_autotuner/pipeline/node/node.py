"""The edge node: watches all cameras, and lets them learn one after the other beside the detection.

DIR/CAMERA/        what is kept of each camera; see `camera_folder`
DIR/status.json    what every camera is doing, for people and for watchdogs
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edge_autotuner.config.node import CameraConfig, NodeConfig
from edge_autotuner.core import Clock, Frame, SystemClock
from edge_autotuner.dataset import atomic_write_json
from edge_autotuner.dataset.atomic import make_folder, remove_leftovers
from edge_autotuner.dataset.lock import FolderLock
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.pipeline.node.background import BackgroundWork, Command, Learner, worker_command
from edge_autotuner.pipeline.node.camera_folder import CameraFolder
from edge_autotuner.pipeline.node.camera_watch import CameraWatch
from edge_autotuner.pipeline.node.deployed_model import Seen
from edge_autotuner.pipeline.node.outputs import DetectionReport, Outputs
from edge_autotuner.pipeline.node.requirements import check_can_learn
from edge_autotuner.pipeline.node.tidying import Tidying

if TYPE_CHECKING:
    from edge_autotuner.pipeline.node.registry_sync import RegistrySync

logger = logging.getLogger(__name__)

_STATUS_FILE = "status.json"
_CONTROL_EVERY_S = 0.05  # how finely the CPU budget is kept
_LOOK_FOR_WORK_EVERY_S = 1.0
_HOUSEKEEPING_EVERY_S = 2.0
_TIDY_EVERY_S = 600.0
_STOPPING_S = 15.0


class Node:
    """All cameras of one machine.

    Everything that it knows is in its folder: after a kill, a new node with the same settings goes on.
    """

    def __init__(
        self,
        config: NodeConfig,
        *,
        outputs: Outputs,
        clock: Clock | None = None,
        command: Command | None = None,
    ) -> None:
        """Prepare; `run` begins.

        Args:
            config: cameras and budgets.
            outputs: where detections go.
            clock: of stamps, pauses and budgets.
            command: what starts the learning process; None for that of this package.

        Raises:
            DatasetError: another node works in this folder.
            StorageError: the folder cannot be made.
            MissingDependency: a library is not installed that learning needs.
        """
        check_can_learn(config)
        make_folder(config.folder)
        self._lock = FolderLock(config.folder)
        self._config, self._outputs, self._clock = config, outputs, clock or SystemClock()
        self._stop = threading.Event()
        self._folders = {camera.name: CameraFolder(config.folder / camera.name) for camera in config.cameras}
        remove_leftovers(config.folder)
        for folder in self._folders.values():
            folder.remove_leftovers()
        runs = {camera.name: config.run_of(camera) for camera in config.cameras}
        self._watches = [
            CameraWatch(
                camera,
                runs[camera.name],
                config,
                self._folders[camera.name],
                clock=self._clock,
                on_seen=self._report,
            )
            for camera in config.cameras
        ]
        service = config.registry if config.trains_on == "service" else None
        self._learners = [Learner(name, folder, runs[name], service) for name, folder in self._folders.items()]
        decides = config.registry.decides if config.registry else "node"
        self._background = BackgroundWork(
            self._learners if config.learns else [],
            config.background,
            clock=self._clock,
            command=command or worker_command(config.background.priority, decides),
        )
        self._registry = self._open_registry()
        self._tidying = Tidying(config.storage, self._clock)
        self._kept_house_s = self._tidied_s = self._looked_for_work_s = float("-inf")

    def run(self, on_status: Callable[[Mapping[str, Any]], None] | None = None) -> None:
        """Watch until `stop`, or until all sources were recordings, have ended, and have been learned from.

        Args:
            on_status: told every few seconds what `status` returns.
        """
        try:
            for watch in self._watches:
                self._refresh(watch)
                watch.start()
            if self._registry is not None:
                self._registry.start()
            while not self._stop.wait(_CONTROL_EVERY_S):
                self._control_background()
                if self._clock.monotonic_s() - self._kept_house_s >= _HOUSEKEEPING_EVERY_S:
                    self._keep_house(on_status)
                    if self._is_over():
                        return
        finally:
            self._end()

    def stop(self) -> None:
        """End `run` soon, from whatever thread or signal handler."""
        self._stop.set()

    def status(self) -> dict[str, Any]:
        """Return what every camera and every output is doing, JSON values."""
        learners = {learner.name: learner for learner in self._learners}
        return {
            "at": self._clock.now().isoformat(),
            "cameras": {watch.name: self._status_of(watch, learners[watch.name]) for watch in self._watches},
            "registry": self._registry.state if self._registry else None,
            "outputs": [asdict(output) for output in self._outputs.status],
        }

    def _status_of(self, watch: CameraWatch, learner: Learner) -> dict[str, Any]:
        batches = [batch for batch in learner.folder.batches() if batch.is_collected]
        last = next((batch.outcome for batch in reversed(batches) if batch.outcome), None)
        return {
            **watch.state,
            "is_learning": self._background.busy_with == watch.name,
            "learning": learner.doing,
            "learning_problem": learner.error,
            "last_outcome": f"{last.outcome}: {last.reason}" if last else None,
        }

    def _keep_house(self, on_status: Callable[[Mapping[str, Any]], None] | None) -> None:
        """Take over new models, write what every camera does, and now and then delete what is old."""
        self._kept_house_s = self._clock.monotonic_s()
        for watch in self._watches:
            self._refresh(watch)
        try:
            status = self.status()
            atomic_write_json(self._config.folder / _STATUS_FILE, status, indent=2)
            if self._kept_house_s - self._tidied_s >= _TIDY_EVERY_S:
                self._tidied_s = self._kept_house_s
                self._tidying.tidy(self._config.folder)
        except EdgeAutotunerError as exc:
            logger.error("%s", exc)
            return
        if on_status is not None:
            on_status(status)

    def _open_registry(self) -> RegistrySync | None:
        if self._config.registry is None:
            return None
        from edge_autotuner.pipeline.node.registry_sync import RegistrySync  # needs libraries that only it needs

        return RegistrySync(self._folders, self._config.cameras, self._config.registry)

    def _control_background(self) -> None:
        """Keep a running process in its budget; without one, look for work on the disk now and then."""
        now_s = self._clock.monotonic_s()
        if self._background.busy_with is not None or now_s - self._looked_for_work_s >= _LOOK_FOR_WORK_EVERY_S:
            self._looked_for_work_s = now_s
            self._background.control()

    def _refresh(self, watch: CameraWatch) -> None:
        if watch.model.refresh() and watch.model.detector is not None:
            self._outputs.announce(watch.name, watch.model.detector.labels)

    def _report(self, camera: CameraConfig, frame: Frame, seen: Seen) -> None:
        self._outputs.take(
            DetectionReport(
                camera.name,
                seen.model,
                seen.labels,
                frame.index,
                frame.time_s,
                frame.captured_at,
                frame.size_wh,
                seen.detections,
            )
        )

    def _is_over(self) -> bool:
        """Whether all sources have ended, and all that can be learned from them is learned, or failed."""
        if not all(watch.is_over for watch in self._watches) or self._background.busy_with is not None:
            return False
        return not self._config.learns or not any(
            learner.has_work() and learner.error is None for learner in self._learners
        )

    def _end(self) -> None:
        for watch in self._watches:
            watch.stop()
        if self._registry is not None:
            self._registry.stop()
        self._background.stop()
        if self._registry is not None:
            self._registry.join(_STOPPING_S)
        for watch in self._watches:
            if not watch.join(_STOPPING_S):
                logger.warning("%s: the camera does not let go; it is left to the system", watch.name)
        self._lock.release()
