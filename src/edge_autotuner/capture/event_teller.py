"""Tells of what happens within a recording, without flooding whoever listens."""

from __future__ import annotations

import logging
from pathlib import Path

from edge_autotuner.core import CaptureEvent, EventKind, Frame, OnEvent
from edge_autotuner.core.types import SizeWH

logger = logging.getLogger(__name__)

_QUIET_S = 5.0  # of the recording, between two events of the same kind


class EventTeller:
    """Tells of events of a recording, of each kind at most one in a few seconds.

    Args:
        path: the recording.
        on_event: who is told.
    """

    def __init__(self, path: Path, on_event: OnEvent) -> None:
        self._path = path
        self._on_event = on_event
        self._told_s: dict[EventKind, float] = {}

    def tell(self, kind: EventKind, time_s: float, detail: str) -> None:
        """Tell of something, unless the same happened a moment ago."""
        if time_s - self._told_s.get(kind, -_QUIET_S) >= _QUIET_S:
            self._told_s[kind] = time_s
            logger.info("%s: %s: %s", self._path, kind, detail)
            self._on_event(CaptureEvent(kind, time_s, None, detail))

    def note_size(self, frame: Frame, before_wh: SizeWH) -> None:
        """Tell when a frame has another size than the one before."""
        if frame.size_wh != before_wh:
            self.tell("size changed", frame.time_s, "{}x{}, before {}x{}".format(*frame.size_wh, *before_wh))
