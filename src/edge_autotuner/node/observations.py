"""The frame path of one camera: each frame becomes an observation, which every observer is shown in turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_autotuner.capture import EventLog, MotionGate
from edge_autotuner.config import CaptureConfig
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.core import CaptureEvent, Clock, Frame, FrameObserver, ModelFindings, MotionResult, Observation
from edge_autotuner.core.observations import TrackedObjects
from edge_autotuner.node.deployed_model import DeployedModel
from edge_autotuner.node.fault_domain import FaultDomains
from edge_autotuner.tracking import CameraObjects

_ROUNDING_S = 1e-3  # stamps of frames that are just far enough apart


class ObservationStream:
    """Shows every frame of a camera to its observers, whether a batch is open or not.

    The motion gate, with its background and its scene guard, runs all the time: at every frame while an observer needs
    its motion, before the deployed model if that is shown what moves, else at `idle_motion_rate_hz`. Gate, regions,
    tracking and observers have a fault domain each; a failure of the deployed model at whole frames is raised.

    Args:
        capture: background and motion of the camera.
        model: the deployed one.
        objects: follows what it finds; None: nothing is followed.
        observers: are shown the frames in this order; the keys name their fault domains.

    Attributes:
        events: what happens to the camera; sources add to it, from any thread.
        n_looked: frames that the deployed model looked at.
    """

    def __init__(
        self,
        camera: str,
        capture: CaptureConfig,
        node: NodeConfig,
        *,
        model: DeployedModel,
        objects: CameraObjects | None,
        clock: Clock,
        faults: FaultDomains,
        observers: Mapping[str, FrameObserver],
    ) -> None:
        self.name = camera
        self.events = EventLog()
        self.n_looked = 0
        self._capture, self._model, self._objects, self._clock = capture, model, objects, clock
        self._gate = _new_gate(capture, self.events, clock)
        self._gate_faults = faults.of(f"{camera}: motion")
        self._tracking_faults = faults.of(f"{camera}: tracking")
        self._region_faults = faults.of(f"{camera}: regions")
        self._needs_faults = faults.of(f"{camera}: observers", first_retry_s=0)
        self._observers = [(observer, faults.of(f"{camera}: {work}")) for work, observer in observers.items()]
        self._detect_limit = RateLimit(node.detect.max_rate_hz)
        self._idle_limit = RateLimit(node.idle_motion_rate_hz)
        self._last_event: CaptureEvent | None = None
        self._has_background = False

    @property
    def state(self) -> dict[str, Any]:
        """What is known of the scene, JSON values."""
        event = self._last_event
        return {
            "has_background": self._has_background,
            "last_event": event and {"kind": event.kind, "time_s": round(event.time_s, 3), "detail": event.detail},
        }

    def restart(self) -> None:
        """Start with an unknown background: the camera was opened again, and its time line may have changed."""
        self._gate = _new_gate(self._capture, self.events, self._clock)
        self._model.forget_scene()
        if self._objects is not None:
            self._objects.forget_scene()
        self._detect_limit.reset()
        self._idle_limit.reset()

    def show(self, frame: Frame) -> None:
        """Show the next frame to all observers, one after the other."""
        detects = self._detect_limit.is_due(frame.time_s)
        motion = self._look_for_motion(frame, is_needed=detects and self._model.needs_motion)
        found = self._detect(frame, motion) if detects else None
        self.n_looked += found is not None
        tracked = self._follow(frame, found)
        observation = Observation(self.name, frame, motion, found, self.events.take(), tracked)
        self._last_event = observation.events[-1] if observation.events else self._last_event
        for observer, faults in self._observers:
            faults.do(lambda to=observer: to.observe(observation))  # type: ignore[misc]

    def _follow(self, frame: Frame, found: ModelFindings | None) -> TrackedObjects | None:
        objects = self._objects
        if found is None or objects is None:
            return None
        return self._tracking_faults.attempt(lambda: objects.update(frame, found.detections, found.labels), None)

    def _detect(self, frame: Frame, motion: MotionResult | None) -> ModelFindings | None:
        """Look at what moves, where the model does so; a failure of that ends in a look at the whole frame."""
        if motion is None or not self._model.needs_motion:
            return self._model.look(frame)
        found = self._region_faults.attempt(lambda: self._model.look(frame, motion), None)
        return self._model.look(frame) if found is None else found

    def _look_for_motion(self, frame: Frame, *, is_needed: bool) -> MotionResult | None:
        is_due = self._idle_limit.is_due(frame.time_s)
        if not (is_needed or is_due or self._an_observer_needs_motion()):
            return None
        motion = self._gate_faults.attempt(lambda: self._gate.look(frame), None)
        self._has_background = motion is not None and motion.background_known
        return motion

    def _an_observer_needs_motion(self) -> bool:
        return self._needs_faults.attempt(lambda: any(o.needs_motion for o, _ in self._observers), True)


class RateLimit:
    """Picks frames that are far enough apart.

    Args:
        max_rate_hz: most frames per second of the camera's time.
    """

    def __init__(self, max_rate_hz: float) -> None:
        self._min_gap_s = 1 / max_rate_hz - _ROUNDING_S
        self._last_s: float | None = None

    def is_due(self, time_s: float) -> bool:
        """Whether a frame of this time is picked; after a jump backwards it is."""
        if self._last_s is not None and 0 <= time_s - self._last_s < self._min_gap_s:
            return False
        self._last_s = time_s
        return True

    def reset(self) -> None:
        """Pick the next frame."""
        self._last_s = None


def _new_gate(capture: CaptureConfig, events: EventLog, clock: Clock) -> MotionGate:
    return MotionGate(capture.motion, capture.background, on_event=events.add, clock=clock)
