"""Watches one camera of a node: opens it, opens it again after failures, and passes its frames on."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import Any

from edge_autotuner.capture import open_source, redact
from edge_autotuner.capture.live_progress import LiveProgress
from edge_autotuner.config import RunConfig
from edge_autotuner.config.node import CameraConfig, NodeConfig, TrackingConfig
from edge_autotuner.core import Backoff, CaptureEvent, Clock, FrameObserver, FrameSource
from edge_autotuner.core.backoff import UNEVEN
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.node.camera_collector import CameraCollector
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.node.camera_health import CameraHealth, CameraState, OnChange
from edge_autotuner.node.deployed_model import DeployedModel
from edge_autotuner.node.fault_domain import FaultDomains
from edge_autotuner.node.observations import ObservationStream
from edge_autotuner.tracking import CameraObjects, TrackingRules

logger = logging.getLogger(__name__)

_LOOK_FOR_MODEL_EVERY_S = 0.1
_SILENCE_MARGIN_S = 5.0  # beyond the time-outs of the source, which say more about what is wrong


class WatchEnded(EdgeAutotunerError):
    """The thread of a camera has died."""


class CameraWatch:
    """Watches one camera until it is stopped, whatever fails: the camera, the disk or the model.

    Args:
        outputs: is shown the frames first.

    Attributes:
        n_frames: frames that the camera gave and that were taken.
        health: whether the camera gives pictures.
        is_over: the source was a recording and has ended, or the watch was stopped.
    """

    def __init__(
        self,
        camera: CameraConfig,
        run: RunConfig,
        node: NodeConfig,
        folder: CameraFolder,
        *,
        clock: Clock,
        faults: FaultDomains,
        outputs: FrameObserver,
        on_change: OnChange,
    ) -> None:
        self.name = camera.name
        self.model = DeployedModel(folder.path, node.detect)
        self.n_frames = 0
        self.is_over = False
        told = faults.of(f"{camera.name}: telling", first_retry_s=0)

        def tell(state: CameraState) -> None:
            told.do(lambda: on_change(state))

        self.health = CameraHealth(camera.name, clock, tell)
        self._camera, self._stream, self._clock = camera, run.capture.stream, clock
        self._collector = CameraCollector(folder, camera.source, run, node, model=self.model, clock=clock)
        self._collector_faults = faults.of(f"{camera.name}: collecting")
        self._report_faults = faults.of(f"{camera.name}: reporting", first_retry_s=0)
        self._learns = node.learns
        observers: dict[str, FrameObserver] = {"reporting": outputs}
        if node.learns:
            observers["collecting"] = self._collector
        self._observations = ObservationStream(
            camera.name,
            run.capture,
            node,
            model=self.model,
            objects=_objects_of(camera, node.tracking),
            clock=clock,
            faults=faults,
            observers=observers,
        )
        self._backoff = Backoff(self._stream.first_retry_s, self._stream.longest_retry_s, jitter=UNEVEN)
        self._source: FrameSource | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> dict[str, Any]:
        """Its status, JSON values."""
        bundle, health = self.model.bundle, self.health.state
        collecting_problem = self._collector.problem or self._collector_faults.problem
        return {
            "source": redact(self._camera.source),
            **health.to_json(),
            "problem": health.problem or self._report_faults.problem or collecting_problem,
            "collecting_problem": collecting_problem,
            "model": bundle.folder.name if bundle else None,
            "refused_model": self.model.refused,
            "detect_mode": self.model.mode,
            "n_frames": self.n_frames,
            "n_looked": self._observations.n_looked,
            **self._observations.state,
            **self._collector.state,
        }

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name=f"watch {self.name}", daemon=True)
        self._thread.start()

    def keep_alive(self) -> None:
        """Restart the thread if it has died, and notice a camera that is silent."""
        if self.is_over or self._stop.is_set():
            return
        if self._thread is None or not self._thread.is_alive():
            self.health.lose("the watch ended unexpectedly; restarting it")
            self.start()
            raise WatchEnded("the watch ended unexpectedly; restarting it")  # for the log; the fault domain rests
        source = self._source
        if source is not None and source.info.is_live:
            longest_s = max(self._stream.read_timeout_s, self._stream.undecodable_after_s)
            self.health.check(longest_s + _SILENCE_MARGIN_S)

    def stop(self) -> None:
        """Ask the thread to end; `join` waits for it."""
        self._stop.set()
        source = self._source
        if source is not None:
            source.stop()

    def join(self, timeout_s: float) -> bool:
        """Wait until the watch has ended; return whether it has."""
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._wait_for_model()
        while not self._stop.is_set() and not self._watch_once():
            self._stop.wait(self._backoff.next_wait_s())
        self.health.end()
        self.is_over = True

    def _wait_for_model(self) -> None:
        """Wait for the first model: before it there is nothing to report and nothing to learn for."""
        while self.model.detector is None and not self._stop.wait(_LOOK_FOR_MODEL_EVERY_S):
            pass

    def _watch_once(self) -> bool:
        """Watch until the source ends or fails; return whether there is nothing left to watch."""
        try:
            self._watch()
        except EdgeAutotunerError as exc:
            self._complain(str(exc))
        except Exception as exc:  # the thread's edge: nothing may end a watch for good
            logger.exception("%s: unexpected error; reopening the camera", self.name)
            self._complain(f"unexpected {type(exc).__name__}: {exc}")
        else:
            return True
        finally:
            self._let_go()
        return False

    def _watch(self) -> None:
        before = self._collector_faults.attempt(self._collector.progress, LiveProgress())
        source = open_source(
            self._camera.source,
            self._stream,
            clock=self._clock,
            on_event=self._take_event,
            start_index=before.n_frames,
            start_time_s=before.watched_s,
        )
        self._source = source
        self.health.begin_connection()
        self._observations.restart()
        self._collector.begin_source(source)
        for frame in source.frames():
            if self._stop.is_set():
                return
            self.n_frames += 1
            if self.health.see(frame):
                self._observations.show(frame)
            self._backoff.reset()
        if not self._stop.is_set() and self._learns:
            self._collector_faults.do(self._collector.finish_source)

    def _let_go(self) -> None:
        with suppress(Exception):  # this cleans up after a failure, whose cause is known already
            self._collector.close()
        source, self._source = self._source, None
        if source is not None:
            with suppress(EdgeAutotunerError):
                source.close()

    def _take_event(self, event: CaptureEvent) -> None:
        self._observations.events.add(event)
        self.health.take_event(event)

    def _complain(self, problem: str) -> None:
        if problem != self.health.state.problem:
            logger.error("%s: %s", self.name, problem)
        self.health.lose(problem)


def _objects_of(camera: CameraConfig, tracking: TrackingConfig) -> CameraObjects | None:
    if not tracking.enabled:
        return None
    return CameraObjects(TrackingRules(tracking.min_seen, tracking.lost_s), camera.lines, camera.zones)
