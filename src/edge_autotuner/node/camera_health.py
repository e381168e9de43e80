"""Whether a camera delivers pictures: without them, an empty report says nothing about the scene."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np

from edge_autotuner.core import CaptureEvent, Clock, EventKind, Frame
from edge_autotuner.core.types import ImageArray

logger = logging.getLogger(__name__)

CameraCondition = Literal["starting", "watched", "lost", "ended"]
"""Of a camera: no picture yet; pictures arrive; pictures should arrive and do not; the recording is over, or the watch
was stopped."""

_LOSSES: frozenset[EventKind] = frozenset({"connection failed", "connection lost", "stalled", "frozen", "undecodable"})


@dataclass(frozen=True)
class CameraState:
    """The condition of a camera.

    Attributes:
        problem: why there are no pictures, one line without credentials; None unless the camera is lost.
        event_type: the event that outputs report; None: the change is not an event.
    """

    camera: str
    condition: CameraCondition
    problem: str | None
    since: datetime
    event_type: Literal["camera_lost", "camera_back"] | None = None

    @property
    def is_available(self) -> bool:
        """Whether statements about the picture are current."""
        return self.condition == "watched"

    def to_json(self) -> dict[str, Any]:
        """Return JSON values for the node's status and the retained state at a broker."""
        return {"state": self.condition, "problem": self.problem, "since": self.since.isoformat()}

    @property
    def event_text(self) -> str:
        """The event as a single-line ASCII JSON string, identical for all outputs."""
        values = {
            "event_type": self.event_type,
            "camera": self.camera,
            "at": self.since.isoformat(),
            "problem": self.problem,
        }
        return json.dumps(values, separators=(",", ":"))


OnChange = Callable[[CameraState], None]
"""Called with each change, from any thread; must not block or raise."""


class CameraHealth:
    """Follows one camera by its pictures and the events of its source; thread-safe."""

    def __init__(self, camera: str, clock: Clock, on_change: OnChange) -> None:
        self._clock, self._on_change = clock, on_change
        self._lock = threading.RLock()  # the callback may ask for the state
        self._state = CameraState(camera, "starting", None, clock.now())
        self._lost_at_s = float("-inf")  # on the time line of the frames
        self._picture_s: float | None = None  # when the newest picture came, monotonic
        self._luma: ImageArray | None = None  # of the newest picture
        self._is_frozen = False

    @property
    def state(self) -> CameraState:
        """The present condition."""
        return self._state

    def begin_connection(self) -> None:
        """Note that the source was reopened: the times of its frames may restart."""
        with self._lock:
            self._lost_at_s = float("-inf")

    def take_event(self, event: CaptureEvent) -> None:
        """Take an event of the source into account."""
        if event.kind not in _LOSSES:
            return
        with self._lock:
            self._lost_at_s = event.time_s
            self._is_frozen = self._is_frozen or event.kind == "frozen"
            self.lose(f"{event.kind}: {event.detail}")

    def see(self, frame: Frame) -> bool:
        """Take a picture into account; return whether it is current.

        A picture from before a loss, or bit-identical to a frozen one, is not.
        """
        if self._state.condition != "watched" or self._is_frozen:
            with self._lock:
                if frame.time_s <= self._lost_at_s or self._is_still_frozen(frame):
                    return False
                self._is_frozen = False
                self._change("watched", None)
        self._picture_s, self._luma = self._clock.monotonic_s(), frame.luma
        return True

    def lose(self, problem: str) -> None:
        """Mark the camera as lost."""
        with self._lock:
            self._change("lost", problem)

    def end(self) -> None:
        """Mark the source as over, without a problem."""
        with self._lock:
            self._change("ended", None)

    def check(self, longest_silence_s: float) -> None:
        """Mark the camera as lost after this long without a picture, even if its thread is stuck."""
        with self._lock:
            if self._state.condition != "watched" or self._picture_s is None:
                return
            silent_s = self._clock.monotonic_s() - self._picture_s
            if silent_s > longest_silence_s:
                self.lose(f"no picture for {silent_s:.0f} s")

    def _is_still_frozen(self, frame: Frame) -> bool:
        return self._is_frozen and self._luma is not None and np.array_equal(self._luma, frame.luma)

    def _change(self, condition: CameraCondition, problem: str | None) -> None:
        before = self._state
        if (condition, problem) == (before.condition, before.problem):
            return
        since = before.since if condition == before.condition else self._clock.now()
        event: Literal["camera_lost", "camera_back"] | None = None
        if condition == "lost" != before.condition:
            event = "camera_lost"
        elif condition == "watched" and before.condition == "lost":
            event = "camera_back"
        self._state = CameraState(before.camera, condition, problem, since, event)
        self._on_change(self._state)
