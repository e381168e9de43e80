"""A long recording with many faults tells of them, but not of each."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.capture.events import EventTeller
from edge_autotuner.core import CaptureEvent


def test_each_kind_is_told_more_and_more_rarely() -> None:
    events: list[CaptureEvent] = []
    teller = EventTeller(Path("a.mp4"), events.append)
    for second in range(24 * 3600):
        teller.tell("times repaired", float(second), str(second))
        if second == 7:
            teller.tell("frames lost", float(second), "one")
    assert [event.time_s for event in events if event.kind == "times repaired"][:5] == [0.0, 5.0, 15.0, 35.0, 75.0]
    assert [event.time_s for event in events if event.kind == "frames lost"] == [7.0]
    assert len(events) < 20
