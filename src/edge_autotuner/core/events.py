"""Events of a camera, such as a lost connection or a switched light."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

EventKind = Literal[
    "connected",
    "connection failed",
    "connection lost",
    "stalled",
    "frozen",
    "undecodable",
    "ended",
    "size changed",
    "rate changed",
    "clock jumped",
    "times repaired",
    "frames lost",
    "scene changed",
    "background recalled",
]
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)


@dataclass(frozen=True)
class CaptureEvent:
    """One thing that happened to a camera.

    Attributes:
        kind: what happened.
            connected: pictures arrive, for the first time or again.
            connection failed: an attempt to connect failed; the detail says when the next one is.
            connection lost: the camera broke the connection off.
            stalled: the connection stands, but nothing arrives.
            frozen: pictures arrive, all of them the same to the last bit.
            undecodable: data arrives, but no picture can be made of it.
            ended: the source announced its end.
            size changed, rate changed: the camera sends other pictures than before.
            clock jumped: the machine's wall clock was set; durations are not affected.
            times repaired: stamps of a recording did not rise, or were missing.
            frames lost: frames of a recording could not be decoded.
            scene changed: most of the picture is new (a light was switched, the camera was moved).
            background recalled: the scene looks as it did earlier, and that background is used again.
        time_s: seconds since the start of the source, as `Frame.time_s`.
        captured_at: aware UTC wall time; None for a recorded source.
        detail: one line for people, without credentials.
    """

    kind: EventKind
    time_s: float
    captured_at: datetime | None
    detail: str


OnEvent = Callable[[CaptureEvent], None]
"""Receives events; may be called from another thread than the one that reads the frames."""


def ignore_event(event: CaptureEvent) -> None:
    """Do nothing with an event."""
