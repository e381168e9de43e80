"""Whether a camera gives pictures just now: without pictures nobody can say that nobody is there."""

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
"""Of a camera: no picture has come yet; pictures come; they came, or should, and do not; a recording is over, or the
watch was stopped."""

_LOSSES: frozenset[EventKind] = frozenset({"connection failed", "connection lost", "stalled", "frozen", "undecodable"})


@dataclass(frozen=True)
class CameraState:
    """How a camera does since some moment.

    Attributes:
        problem: why there are no pictures, one line without credentials; None unless it is lost.
        event_type: what the change means to others: `camera_lost` or `camera_back`; None for what is no event.
    """

    camera: str
    condition: CameraCondition
    problem: str | None
    since: datetime
    event_type: Literal["camera_lost", "camera_back"] | None = None

    @property
    def is_available(self) -> bool:
        """Whether what is said about the picture is of now."""
        return self.condition == "watched"

    def to_json(self) -> dict[str, Any]:
        """Return JSON values: what stays at a broker, and what the node's status says."""
        return {"state": self.condition, "problem": self.problem, "since": self.since.isoformat()}

    @property
    def event_text(self) -> str:
        """The event as one line of ASCII, in the form of every output."""
        values = {
            "event_type": self.event_type,
            "camera": self.camera,
            "at": self.since.isoformat(),
            "problem": self.problem,
        }
        return json.dumps(values, separators=(",", ":"))


OnChange = Callable[[CameraState], None]
"""Told of each change, from whatever thread; must not block or raise."""


class CameraHealth:
    """Follows one camera by its pictures and by what its source tells; may be used by several threads."""

    def __init__(self, camera: str, clock: Clock, on_change: OnChange) -> None:
        self._clock, self._on_change = clock, on_change
        self._lock = threading.RLock()  # who is told may ask for the state
        self._state = CameraState(camera, "starting", None, clock.now())
        self._lost_at_s = float("-inf")  # on the time line of the frames
        self._picture_s: float | None = None  # when the newest picture came, monotonic
        self._luma: ImageArray | None = None  # of the newest picture
        self._is_frozen = False

    @property
    def state(self) -> CameraState:
        """How it does now."""
        return self._state

    def begin_connection(self) -> None:
        """Say that the source was opened anew: the times of its frames may begin anew, too."""
        with self._lock:
            self._lost_at_s = float("-inf")

    def take_event(self, event: CaptureEvent) -> None:
        """Take note of what a source tells."""
        if event.kind not in _LOSSES:
            return
        with self._lock:
            self._lost_at_s = event.time_s
            self._is_frozen = self._is_frozen or event.kind == "frozen"
            self.lose(f"{event.kind}: {event.detail}")

    def see(self, frame: Frame) -> bool:
        """Take note of a picture; return whether it shows what is there now.

        A picture from before a loss, and one that is the same to the last bit as a frozen one, does not.
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
        """Say that there are no pictures, and why."""
        with self._lock:
            self._change("lost", problem)

    def end(self) -> None:
        """Say that no more pictures are expected, without anything being wrong."""
        with self._lock:
            self._change("ended", None)

    def check(self, longest_silence_s: float) -> None:
        """Mark a camera as lost when it exceeds every time-out without a picture, whichever thread is stuck."""
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
