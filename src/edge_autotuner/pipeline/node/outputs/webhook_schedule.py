"""Decides which reports a webhook gets, and when; the sending is not done here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge_autotuner.config.node import WebhookConfig
from edge_autotuner.pipeline.node.outputs.report import DetectionReport


@dataclass(frozen=True, eq=False)
class Letter:
    """A report, and when it came on the monotonic clock."""

    report: DetectionReport
    at_s: float


@dataclass
class _Camera:
    """What the other side knows of a camera, and what waits."""

    told: Mapping[str, int] | None = None
    asked_at_s: float = float("-inf")
    waiting: Letter | None = None


class WebhookSchedule:
    """Keeps one waiting report per camera at most: the newest that is worth sending.

    With `when: change` the other side always ends up with the newest counts: what changed back before it could be sent
    is not sent, and a change that got lost on the way is noticed again with the next report.

    Args:
        config: of the webhook.
        cameras: their names.
        fresh_s: an older report is not worth sending any more, seconds.
    """

    def __init__(self, config: WebhookConfig, cameras: Iterable[str], *, fresh_s: float) -> None:
        self._when, self._min_gap_s, self._fresh_s = config.when, config.min_gap_s, fresh_s
        self._cameras = {name: _Camera() for name in cameras}
        self._held_until_s = float("-inf")

    def offer(self, letter: Letter) -> int:
        """Take a report if it is worth sending; return 1 if news are lost by that which should have gone by now."""
        camera = self._cameras[letter.report.camera]
        counts = letter.report.counts
        if self._when == "detection" and not counts:
            return 0
        waiting = camera.waiting
        camera.waiting = letter if self._when == "detection" or counts != camera.told else None
        if waiting is None or letter.at_s <= self._due_s(camera, waiting):
            return 0
        return int(self._when == "detection" or waiting.report.counts != counts)

    def take_due(self, now_s: float) -> Letter | None:
        """Return the report that is to be sent now, the one that is due for longest; None if there is none."""
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
        return max(0.0, max(min(due), self._held_until_s) - now_s) if due else None

    def settle(self, letter: Letter) -> None:
        """The other side has a report, or will never take it."""
        self._cameras[letter.report.camera].told = letter.report.counts

    def put_back(self, letter: Letter, *, until_s: float) -> None:
        """Send nothing before `until_s`, and then this report unless there is a newer one."""
        self._cameras[letter.report.camera].waiting = letter
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
        n_waiting = sum(camera.waiting is not None for camera in self._cameras.values())
        for camera in self._cameras.values():
            camera.waiting = None
        return n_waiting

    def skip_gaps(self) -> None:
        """Make everything due at once that no failure holds back; for the end."""
        self._min_gap_s = 0.0

    def _due_s(self, camera: _Camera, letter: Letter) -> float:
        return max(letter.at_s, camera.asked_at_s + self._min_gap_s)
