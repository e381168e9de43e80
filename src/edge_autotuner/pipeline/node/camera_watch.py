"""One camera of a node: its frames are looked at by the deployed model, and offered to the batch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from edge_autotuner.capture import EventLog, LiveSource, open_source, redact
from edge_autotuner.config import RunConfig
from edge_autotuner.config.node import CameraConfig, NodeConfig
from edge_autotuner.core import Clock, Frame, FrameSource
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.pipeline.node.camera_folder import CameraFolder
from edge_autotuner.pipeline.node.collecting import Collecting
from edge_autotuner.pipeline.node.deployed_model import DeployedModel, Seen

logger = logging.getLogger(__name__)

OnSeen = Callable[[CameraConfig, Frame, Seen], None]
"""Told what the deployed model found in a frame, from the camera's thread; must not block or raise."""

_LOOK_FOR_MODEL_EVERY_S = 0.1
_ROUNDING_S = 1e-3  # stamps of frames that are just far enough apart


class CameraWatch:
    """Watches one camera until it is stopped, whatever happens to the camera, the disk or the model.

    Attributes:
        name: of the camera.
        n_frames: frames that the camera gave and that were taken.
        n_looked: frames that the deployed model looked at.
        problem: why the camera is not watched just now; None if it is.
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
        on_seen: OnSeen,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            camera: what is watched.
            run: how it learns.
            node: everything else.
            folder: what is kept of it.
            clock: of stamps and pauses.
            on_seen: where detections go.
        """
        self.name = camera.name
        self.model = DeployedModel(folder.path, node.detect)
        self.n_frames = self.n_looked = 0
        self.problem: str | None = None
        self.is_over = False
        self._camera, self._stream, self._on_seen, self._clock = camera, run.capture.stream, on_seen, clock
        self._min_gap_s = 1 / node.detect.max_rate_hz - _ROUNDING_S
        self._learns = node.learns
        self._last_look_s: float | None = None
        self._events = EventLog()
        self._collecting = Collecting(folder, camera.source, run, node, clock=clock, events=self._events)
        self._source: FrameSource | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch {camera.name}", daemon=True)

    @property
    def state(self) -> dict[str, Any]:
        """What it is doing, JSON values."""
        bundle = self.model.bundle
        return {
            "source": redact(self._camera.source),
            "problem": self.problem or self._collecting.problem,
            "model": bundle.folder.name if bundle else None,
            "refused_model": self.model.refused,
            "n_frames": self.n_frames,
            "n_looked": self.n_looked,
            **self._collecting.state,
        }

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End soon; `join` waits for it."""
        self._stop.set()
        source = self._source
        if isinstance(source, LiveSource):
            source.stop()

    def join(self, timeout_s: float) -> bool:
        """Wait until the watch has ended; return whether it has."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._wait_for_model()
            while not self._stop.is_set() and not self._watch_once():
                self._stop.wait(self._stream.longest_retry_s)
        finally:
            self._collecting.close()
            self.is_over = True

    def _wait_for_model(self) -> None:
        """Wait until the first model is there; before, there is nothing to report and nothing to learn for."""
        while self.model.detector is None and not self._stop.wait(_LOOK_FOR_MODEL_EVERY_S):
            pass

    def _watch_once(self) -> bool:
        """Watch until the source ends or fails; return whether there is nothing left to watch."""
        try:
            self._watch()
        except EdgeAutotunerError as exc:
            self._complain(str(exc))
        except Exception as exc:  # the thread's edge: nothing may end the watch of a camera for good
            logger.exception("%s: unexpected error, the camera is opened again", self.name)
            self._complain(f"unexpected {type(exc).__name__}: {exc}")
        else:
            return True
        finally:
            self._let_go()
        return False

    def _watch(self) -> None:
        before = self._collecting.progress()
        source = open_source(
            self._camera.source,
            self._stream,
            clock=self._clock,
            on_event=self._events.add,
            start_index=before.n_frames,
            start_time_s=before.watched_s,
        )
        self._source, self._last_look_s = source, None
        for frame in source.frames():
            if self._stop.is_set():
                return
            self.problem = None
            self._see(frame, source)
        if not self._stop.is_set():
            self._collecting.finish_source(source)

    def _see(self, frame: Frame, source: FrameSource) -> None:
        self.n_frames += 1
        if self._is_time_to_look(frame.time_s):
            seen = self.model.look(frame)
            if seen is not None:
                self.n_looked += 1
                self._on_seen(self._camera, frame, seen)
        if self._learns and self.model.detector is not None:
            self._collecting.see(frame, source, self.model.detector)

    def _is_time_to_look(self, now_s: float) -> bool:
        if self._last_look_s is not None and 0 <= now_s - self._last_look_s < self._min_gap_s:
            return False
        self._last_look_s = now_s
        return True

    def _let_go(self) -> None:
        self._collecting.close()
        source, self._source = self._source, None
        if isinstance(source, LiveSource):
            with suppress(EdgeAutotunerError):
                source.close()

    def _complain(self, problem: str) -> None:
        if problem != self.problem:
            logger.error("%s: %s", self.name, problem)
        self.problem = problem
