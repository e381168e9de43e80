"""Reports events of a recording at a bounded rate."""

from __future__ import annotations

import logging
from pathlib import Path

from edge_autotuner.core import CaptureEvent, EventKind, Frame, OnEvent
from edge_autotuner.core.types import SizeWH

logger = logging.getLogger(__name__)

_QUIET_S = 5.0  # of the recording, between the first two events of the same kind; the pause doubles each time


class EventTeller:
    """Tells of events of a recording, of each kind more and more rarely: a few dozen in the longest recording.

    Args:
        path: the recording.
        on_event: who is told.
    """

    def __init__(self, path: Path, on_event: OnEvent) -> None:
        self._path = path
        self._on_event = on_event
        self._next_s: dict[EventKind, float] = {}
        self._pause_s: dict[EventKind, float] = {}

    def tell(self, kind: EventKind, time_s: float, detail: str) -> None:
        """Tell of something, unless the same happened a moment ago."""
        if time_s >= self._next_s.get(kind, time_s):
            pause_s = self._pause_s.get(kind, _QUIET_S)
            self._next_s[kind], self._pause_s[kind] = time_s + pause_s, 2 * pause_s
            logger.info("%s: %s: %s", self._path, kind, detail)
            self._on_event(CaptureEvent(kind, time_s, None, detail))

    def note_size(self, frame: Frame, before_wh: SizeWH) -> None:
        """Tell when a frame has another size than the one before."""
        if frame.size_wh != before_wh:
            self.tell("size changed", frame.time_s, "{}x{}, was {}x{}".format(*frame.size_wh, *before_wh))
