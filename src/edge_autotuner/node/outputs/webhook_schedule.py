"""Decides which reports a webhook gets, and when, without sending them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_autotuner.config.node import WebhookConfig
from edge_autotuner.node.camera_health import CameraState
from edge_autotuner.node.outputs.report import DetectionReport


@dataclass(frozen=True, eq=False)
class _State:
    """What a report counts in the picture, and at lines and zones; None: they are not known."""

    counts: Mapping[str, int]
    places: Mapping[str, Any] | None

    def is_news_after(self, told: _State | None) -> bool:
        """Whether it says more than an earlier state; a frame that could not be followed says nothing of places."""
        if told is None or self.counts != told.counts:
            return True
        return self.places is not None and self.places != told.places

    def after(self, told: _State | None) -> _State:
        """Return what the other side knows once it has heard both."""
        return self if self.places is not None or told is None else _State(self.counts, told.places)


@dataclass(frozen=True, eq=False)
class Letter:
    """A report or the event of a lost or returned camera, with its time on the monotonic clock."""

    content: DetectionReport | CameraState
    at_s: float

    @property
    def camera(self) -> str:
        """Name of the camera."""
        return self.content.camera

    @property
    def text(self) -> str:
        """The body of the request, ASCII."""
        return self.content.json_text if isinstance(self.content, DetectionReport) else self.content.event_text

    @property
    def counts(self) -> Mapping[str, int] | None:
        """What a report counts in the picture; None for an event."""
        return self.content.counts if isinstance(self.content, DetectionReport) else None

    @property
    def state(self) -> _State | None:
        """What a report counts; None for an event."""
        if not isinstance(self.content, DetectionReport):
            return None
        tracked = self.content.tracked
        return _State(self.content.counts, tracked.places if tracked else None)


@dataclass
class _Camera:
    """What the other side knows of a camera, and what waits."""

    told: _State | None = None
    told_event: str | None = None
    asked_at_s: float = float("-inf")
    waiting: Letter | None = None
    event: Letter | None = None


class WebhookSchedule:
    """Keeps one waiting report per camera at most, the newest that is worth sending, and the newest event.

    An event comes before reports and ignores the gap: a peer that was told "empty" must hear that the camera is lost.
    It is kept until delivered; then the counts are sent again, even if unchanged.

    With `when: change` the other side always ends up with the newest counts: what changed back before it could be sent
    is not sent, and a change that got lost on the way is noticed again with the next report.

    Args:
        fresh_s: maximum age of a report, seconds; older ones are dropped.
    """

    def __init__(self, config: WebhookConfig, cameras: Iterable[str], *, fresh_s: float) -> None:
        self._when, self._min_gap_s, self._fresh_s = config.when, config.min_gap_s, fresh_s
        self._cameras = {name: _Camera() for name in cameras}
        self._held_until_s = float("-inf")

    def offer(self, letter: Letter) -> int:
        """Take a report if it is worth sending; return 1 if that drops one that is overdue."""
        camera, state = self._cameras[letter.camera], letter.state
        if state is None:
            return self._offer_event(camera, letter)
        if self._when == "detection" and not state.counts:
            return 0
        waiting = camera.waiting
        camera.waiting = letter if self._when == "detection" or state.is_news_after(camera.told) else None
        if waiting is None or letter.at_s <= self._due_s(camera, waiting):
            return 0
        return int(self._when == "detection" or state.is_news_after(waiting.state))

    def take_due(self, now_s: float) -> Letter | None:
        """Return the event, or otherwise the report, that has been due the longest; None if nothing is due."""
        if now_s >= self._held_until_s:
            events = [camera for camera in self._cameras.values() if camera.event is not None]
            if events:
                first = min(events, key=_event_came_s)
                event, first.event = first.event, None
                return event
        due = [
            (self._due_s(camera, camera.waiting), name)
            for name, camera in self._cameras.items()
            if camera.waiting is not None
        ]
        if not due or now_s < max(min(due)[0], self._held_until_s):
            return None
        camera = self._cameras[min(due)[1]]
        letter, camera.waiting, camera.asked_at_s = camera.waiting, None, now_s
        return letter

    def wait_s(self, now_s: float) -> float | None:
        """Return how long nothing is to be sent; None: until a report comes."""
        due = [self._due_s(camera, camera.waiting) for camera in self._cameras.values() if camera.waiting is not None]
        due += [camera.event.at_s for camera in self._cameras.values() if camera.event is not None]
        return max(0.0, max(min(due), self._held_until_s) - now_s) if due else None

    def settle(self, letter: Letter) -> None:
        """Note that a letter was delivered, or refused for good."""
        camera = self._cameras[letter.camera]
        camera.told = letter.state and letter.state.after(camera.told)
        if isinstance(letter.content, CameraState):
            camera.told_event = letter.content.event_type

    def put_back(self, letter: Letter, *, until_s: float) -> None:
        """Send nothing before `until_s`, and then this letter unless there is a newer one."""
        camera = self._cameras[letter.camera]
        if letter.counts is not None:
            camera.waiting = letter
        elif camera.event is None:
            camera.event = letter
        self._held_until_s = until_s

    def drop_stale(self, now_s: float) -> int:
        """Give up on reports that have waited too long; return how many."""
        n_dropped = 0
        for camera in self._cameras.values():
            if camera.waiting is not None and now_s - camera.waiting.at_s >= self._fresh_s:
                camera.waiting = None
                n_dropped += 1
        return n_dropped

    def drop_all(self) -> int:
        """Give up on everything; return how many reports that are."""
        n_waiting = sum((camera.waiting is not None) + (camera.event is not None) for camera in self._cameras.values())
        for camera in self._cameras.values():
            camera.waiting = camera.event = None
        return n_waiting

    def skip_gaps(self) -> None:
        """Make everything due at once that no failure holds back; for the end."""
        self._min_gap_s = 0.0

    def _offer_event(self, camera: _Camera, letter: Letter) -> int:
        """Keep the newest event; one that only undoes what was not told yet needs no telling.

        Returns:
            1 if a report was waiting that a loss has overtaken: it would read as if the camera were there.
        """
        assert isinstance(letter.content, CameraState)
        event_type = letter.content.event_type
        is_undone = camera.event is not None and event_type == (camera.told_event or "camera_back")
        camera.event = None if is_undone else letter
        if event_type != "camera_lost" or camera.waiting is None:
            return 0
        camera.waiting = None
        return 1

    def _due_s(self, camera: _Camera, letter: Letter) -> float:
        return max(letter.at_s, camera.asked_at_s + self._min_gap_s)


def _event_came_s(camera: _Camera) -> float:
    return camera.event.at_s if camera.event is not None else float("inf")
