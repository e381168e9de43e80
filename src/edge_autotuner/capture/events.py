"""Events of a camera or recording: reported at a bounded rate, and collected from any thread for one reader."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import replace
from pathlib import Path

from edge_autotuner.core import CaptureEvent, EventKind, Frame, OnEvent
from edge_autotuner.core.redaction import redact_text
from edge_autotuner.core.types import SizeWH
from edge_autotuner.dataset import DatasetStore

logger = logging.getLogger(__name__)

_QUIET_S = 5.0  # of the recording, between the first two events of the same kind; the pause doubles each time
_MOST_WAITING = 1000  # the reader of the frames empties the log with every frame


class EventLog:
    """Receives events from the source and from the gate; one thread takes them, or writes them into a dataset."""

    def __init__(self) -> None:
        self._waiting: deque[CaptureEvent] = deque(maxlen=_MOST_WAITING)
        self._last: CaptureEvent | None = None

    def add(self, event: CaptureEvent) -> None:
        """Take an event; safe from every thread."""
        self._waiting.append(replace(event, detail=redact_text(event.detail)))

    def take(self) -> tuple[CaptureEvent, ...]:
        """Remove and return the waiting events, oldest first."""
        return tuple(self._waiting.popleft() for _ in range(len(self._waiting)))

    def write_to(self, store: DatasetStore) -> None:
        """Write what is waiting, in the order in which it happened.

        A camera that is away for weeks fails again and again: what repeats the event before it is not written.
        Nor is what an interrupted run wrote already, which happens when recorded frames are read again.
        """
        for event in self.take():
            is_repeated = self._last is not None and (event.kind, event.detail) == (self._last.kind, self._last.detail)
            self._last = event
            if not is_repeated and event not in store.events():
                store.add_event(event)


class EventTeller:
    """Reports events of a recording, of each kind more and more rarely: a few dozen in the longest recording."""

    def __init__(self, path: Path, on_event: OnEvent) -> None:
        self._path = path
        self._on_event = on_event
        self._next_s: dict[EventKind, float] = {}
        self._pause_s: dict[EventKind, float] = {}

    def tell(self, kind: EventKind, time_s: float, detail: str) -> None:
        """Report an event, unless the same happened a moment ago."""
        if time_s >= self._next_s.get(kind, time_s):
            pause_s = self._pause_s.get(kind, _QUIET_S)
            self._next_s[kind], self._pause_s[kind] = time_s + pause_s, 2 * pause_s
            logger.info("%s: %s: %s", self._path, kind, detail)
            self._on_event(CaptureEvent(kind, time_s, None, detail))

    def note_size(self, frame: Frame, before_wh: SizeWH) -> None:
        """Report when a frame has another size than the one before."""
        if frame.size_wh != before_wh:
            self.tell("size changed", frame.time_s, "{}x{}, was {}x{}".format(*frame.size_wh, *before_wh))
