"""Collects what happens to a camera, from whatever thread, until its one reader takes it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from edge_autotuner.core import CaptureEvent
from edge_autotuner.core.redaction import redact_text
from edge_autotuner.dataset import DatasetStore

_MOST_WAITING = 1000  # whoever reads frames empties the log with every frame


class EventLog:
    """Receives events from the source and from the gate; one thread takes them, or writes them into a dataset."""

    def __init__(self) -> None:
        self._waiting: deque[CaptureEvent] = deque(maxlen=_MOST_WAITING)
        self._last: CaptureEvent | None = None

    def add(self, event: CaptureEvent) -> None:
        """Take an event; safe from every thread."""
        self._waiting.append(replace(event, detail=redact_text(event.detail)))

    def take(self) -> tuple[CaptureEvent, ...]:
        """Return what is waiting, oldest first, and leave nothing."""
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
