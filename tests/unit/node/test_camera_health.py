"""A camera is watched, lost, back or over, by its pictures and by what its source tells."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edge_autotuner.core import EVENT_KINDS, CaptureEvent, EventKind, FakeClock
from edge_autotuner.node.camera_health import CameraHealth, CameraState
from support.cameras.frames import frame_of

LOSSES = {"connection failed", "connection lost", "stalled", "frozen", "undecodable"}


class Watched:
    """A camera, and what was told about it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.told: list[CameraState] = []
        self.health = CameraHealth("gate", self.clock, self.told.append)

    def see(self, level: int = 0) -> bool:
        self.clock.advance(1.0)
        picture = np.full((4, 6, 3), level, np.uint8)
        return self.health.see(frame_of(picture, index=0, time_s=self.clock.monotonic_s()))

    def happens(self, kind: EventKind, detail: str = "why") -> None:
        self.health.take_event(CaptureEvent(kind, self.clock.monotonic_s(), self.clock.now(), detail))

    @property
    def history(self) -> list[tuple[str, str | None]]:
        return [(state.condition, state.event_type) for state in self.told]


def test_every_kind_of_event_is_a_loss_or_none() -> None:
    """A new kind has to be thought about."""
    for kind in EVENT_KINDS:
        watched = Watched()
        watched.see()
        watched.happens(kind)
        assert watched.health.state.is_available == (kind not in LOSSES), kind


def test_lost_and_back_are_told_once() -> None:
    watched = Watched()
    assert watched.see()
    watched.happens("connection lost", "it broke off")
    watched.happens("connection failed", "refused")
    watched.happens("connection failed", "refused")
    watched.happens("connected")
    assert watched.health.state.problem == "connection failed: refused", "no picture has come yet"
    assert watched.see()
    assert watched.history == [
        ("watched", None), ("lost", "camera_lost"), ("lost", None), ("watched", "camera_back"),
    ]  # fmt: skip
    assert watched.told[1].since == watched.told[2].since
    assert watched.health.state.problem is None


def test_a_camera_that_was_never_there_is_lost() -> None:
    watched = Watched()
    assert watched.health.state.condition == "starting"
    assert not watched.health.state.is_available
    watched.happens("connection failed")
    assert watched.history == [("lost", "camera_lost")]


def test_a_picture_from_before_the_loss_does_not_bring_it_back() -> None:
    watched = Watched()
    watched.see()
    late = frame_of(np.zeros((4, 6, 3), np.uint8), index=1, time_s=watched.clock.monotonic_s())
    watched.happens("stalled")
    assert not watched.health.see(late)
    assert watched.health.state.condition == "lost"
    watched.health.begin_connection()
    assert watched.health.see(late), "the source was opened anew, and its times as well"


def test_a_frozen_picture_is_no_picture_until_it_changes() -> None:
    watched = Watched()
    watched.see(3)
    watched.happens("frozen")
    watched.happens("connected")
    assert [watched.see(3) for _ in range(5)] == [False] * 5
    assert watched.health.state.condition == "lost"
    assert watched.see(4)
    assert watched.see(3), "it moves again"
    assert watched.history[-1] == ("watched", "camera_back")


def test_silence_is_noticed_whoever_is_stuck() -> None:
    watched = Watched()
    watched.health.check(10.0)
    assert watched.told == [], "it has not begun"
    watched.see()
    watched.clock.advance(10.0)
    watched.health.check(10.0)
    assert watched.health.state.is_available
    watched.clock.advance(0.5)
    watched.health.check(10.0)
    assert (watched.health.state.condition, watched.health.state.problem) == ("lost", "no picture for 10 s")


def test_the_end_of_a_recording_is_no_loss() -> None:
    watched = Watched()
    watched.see()
    watched.health.end()
    assert watched.history == [("watched", None), ("ended", None)]
    assert not watched.health.state.is_available


@pytest.mark.parametrize("text", ['quote " and \\', "line\nbreak", "ü\x1b[31m"])
def test_an_event_is_one_line_of_ascii(text: str) -> None:
    watched = Watched()
    watched.happens("connection failed", text)
    line = watched.told[0].event_text
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {
        "event_type": "camera_lost",
        "camera": "gate",
        "at": "2026-01-01T00:00:00+00:00",
        "problem": f"connection failed: {text}",
    }
