"""Which reports a webhook gets, and when."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest

from edge_autotuner.config.node import WebhookConfig
from edge_autotuner.core import FakeClock
from edge_autotuner.core.observations import TrackedObjects
from edge_autotuner.node.camera_health import CameraState
from edge_autotuner.node.outputs import DetectionReport
from edge_autotuner.node.outputs.webhook_schedule import Letter, WebhookSchedule
from support.service.output_samples import make_report


class Play:
    """A schedule whose other side takes everything at once."""

    def __init__(self, when: Literal["change", "detection"] = "change", *, gap_s: float = 1.0) -> None:
        config = WebhookConfig(url="http://hook", when=when, min_gap_s=gap_s)
        self.schedule = WebhookSchedule(config, ["front", "back"], fresh_s=30.0)
        self.clock = FakeClock()
        self.n_lost = 0

    def see(self, *class_ids: int, at_s: float, camera: str = "front") -> None:
        self.advance_to(at_s)
        report = make_report(*class_ids, camera=camera, index=round(at_s * 10))
        self.n_lost += self.schedule.offer(Letter(report, at_s))

    def advance_to(self, at_s: float) -> None:
        self.clock.advance(at_s - self.clock.monotonic_s())

    def sent(self) -> list[int]:
        """Return the frame indices of what is sent now."""
        indices = []
        while (letter := self.schedule.take_due(self.clock.monotonic_s())) is not None:
            self.schedule.settle(letter)
            assert isinstance(letter.content, DetectionReport)
            indices.append(letter.content.index)
        return indices

    def tell(self, condition: Literal["lost", "watched"], at_s: float, camera: str = "front") -> None:
        """Say that a camera is lost or back."""
        self.advance_to(at_s)
        event: Literal["camera_lost", "camera_back"] = "camera_lost" if condition == "lost" else "camera_back"
        state = CameraState(camera, condition, None, self.clock.now(), event)
        self.n_lost += self.schedule.offer(Letter(state, at_s))

    def take(self) -> list[str]:
        """Return what is sent now, reports as their index."""
        sent = []
        while (letter := self.schedule.take_due(self.clock.monotonic_s())) is not None:
            self.schedule.settle(letter)
            content = letter.content
            sent.append(str(content.index) if isinstance(content, DetectionReport) else str(content.event_type))
        return sent


def test_changes_of_counts_are_sent() -> None:
    play = Play()
    sent = []
    for second, class_ids in enumerate([(), (), (0,), (0,), (0, 0), (1, 0), (), ()]):
        play.see(*class_ids, at_s=float(second))
        sent += play.sent()
    assert sent == [0, 20, 40, 50, 60]
    assert play.n_lost == 0


def test_detections_are_sent_again_and_again() -> None:
    play = Play("detection")
    sent = []
    for second, class_ids in enumerate([(), (0,), (0,), (), (0,)]):
        play.see(*class_ids, at_s=float(second))
        sent += play.sent()
    assert sent == [10, 20, 40]


@pytest.mark.parametrize("when", ["change", "detection"])
def test_within_the_gap_the_newest_waits(when: Literal["change", "detection"]) -> None:
    play = Play(when)
    play.see(0, at_s=0.0)
    assert play.sent() == [0]
    play.see(0, 0, at_s=0.2)
    play.see(0, 0, 0, at_s=0.4)
    assert play.sent() == []
    assert play.schedule.wait_s(0.4) == pytest.approx(0.6)
    play.advance_to(1.0)
    assert play.sent() == [4]
    assert play.schedule.wait_s(1.0) is None
    assert play.n_lost == 0


def test_what_changed_back_within_the_gap_is_not_sent() -> None:
    play = Play()
    play.see(0, at_s=0.0)
    assert play.sent() == [0]
    play.see(at_s=0.2)
    play.see(0, at_s=0.4)
    play.advance_to(5.0)
    assert play.sent() == []
    assert play.n_lost == 0


def test_a_detection_that_has_gone_is_still_told() -> None:
    play = Play("detection")
    play.see(0, at_s=0.0)
    play.sent()
    play.see(0, at_s=0.5)
    play.see(at_s=0.7)
    play.advance_to(1.0)
    assert play.sent() == [5]


def test_cameras_do_not_wait_for_each_other() -> None:
    play = Play()
    play.see(0, at_s=0.0)
    play.sent()
    play.see(0, at_s=0.1, camera="back")
    assert play.sent() == [1]


def test_failures_hold_everything_back_and_the_newest_goes_first_after_that() -> None:
    play = Play()
    play.see(0, at_s=0.0)
    letter = play.schedule.take_due(0.0)
    assert letter is not None
    play.schedule.put_back(letter, until_s=10.0)
    play.see(0, at_s=2.0, camera="back")
    play.see(0, 0, at_s=3.0)
    play.advance_to(9.9)
    assert play.sent() == []
    assert play.schedule.wait_s(9.9) == pytest.approx(0.1)
    play.advance_to(10.0)
    assert play.sent() == [20, 30]
    assert play.n_lost == 1  # the first report of the front camera


@pytest.mark.parametrize(("when", "n_lost"), [("change", 1), ("detection", 3)])
def test_a_report_is_lost_if_it_said_something_else(when: Literal["change", "detection"], n_lost: int) -> None:
    play = Play(when)
    play.see(0, at_s=0.0)
    play.see(0, at_s=2.0)
    play.see(0, 0, at_s=4.0)
    play.see(0, 0, at_s=6.0)
    assert play.sent() == [60]
    assert play.n_lost == n_lost


def test_a_change_that_was_lost_is_noticed_again() -> None:
    play = Play()
    play.see(at_s=0.0)
    play.sent()
    play.see(0, at_s=2.0)
    play.advance_to(31.9)
    assert play.schedule.drop_stale(31.9) == 0
    play.advance_to(32.0)
    assert play.schedule.drop_stale(32.0) == 1
    assert play.sent() == []
    play.see(0, at_s=33.0)
    assert play.sent() == [330]


def test_at_the_end_gaps_do_not_count_but_failures_do() -> None:
    play = Play(gap_s=100.0)
    play.see(0, at_s=0.0)
    play.sent()
    play.see(0, 0, at_s=1.0)
    play.schedule.skip_gaps()
    assert play.sent() == [10]
    play.see(0, at_s=2.0)
    letter = play.schedule.take_due(2.0)
    assert letter is not None
    play.schedule.put_back(letter, until_s=10.0)
    assert play.sent() == []
    assert play.schedule.drop_all() == 1
    assert play.schedule.drop_all() == 0


@pytest.mark.parametrize("when", ["change", "detection"])
def test_a_lost_camera_is_told_at_once_and_counts_are_told_again(when: Literal["change", "detection"]) -> None:
    play = Play(when, gap_s=10.0)
    play.see(0, at_s=0.0)
    assert play.take() == ["0"]
    play.see(0, 0, at_s=1.0)
    play.tell("lost", 2.0)
    assert play.take() == ["camera_lost"], "what waited would read as if the camera were there"
    assert play.n_lost == 1
    play.tell("watched", 20.0)
    play.see(0, at_s=20.0)
    assert play.take() == ["camera_back", "200"], "the same count as before the loss"


def test_an_event_waits_until_it_can_be_told_and_only_the_newest_does() -> None:
    play = Play()
    play.tell("lost", 0.0)
    letter = play.schedule.take_due(0.0)
    assert letter is not None
    play.schedule.put_back(letter, until_s=100.0)
    assert play.take() == []
    assert play.schedule.drop_stale(1e6) == 0
    play.advance_to(100.0)
    assert play.schedule.wait_s(100.0) == 0.0
    assert play.take() == ["camera_lost"]
    play.tell("watched", 101.0)
    play.tell("lost", 102.0)
    assert play.take() == [], "back and lost again: the other side knows nothing else"
    play.tell("watched", 103.0)
    assert play.take() == ["camera_back"]


def test_at_the_end_an_event_that_waits_counts_as_dropped() -> None:
    play = Play()
    play.tell("lost", 0.0)
    play.see(0, at_s=1.0)
    assert play.schedule.drop_all() == 2


def test_a_crossing_is_a_change_even_if_the_picture_holds_as_many() -> None:
    play = Play()
    play.see(0, at_s=0)
    assert play.sent() == [0]
    places = {"door": {"in": {"person": 1}, "out": {}}}
    report = dataclasses.replace(make_report(0, index=50), tracked=TrackedObjects(np.array([1]), places=places))
    play.advance_to(5)
    play.schedule.offer(Letter(report, 5))
    assert play.sent() == [50]


def test_frames_that_could_not_be_followed_are_no_change_of_places() -> None:
    play = Play()
    for index in range(6):
        places = {"door": {"in": {"person": 1 + index // 4}, "out": {}}}
        tracked = TrackedObjects(np.array([1]), places=places) if index % 2 == 0 else None
        play.advance_to(5 * index)
        play.schedule.offer(Letter(dataclasses.replace(make_report(0, index=index), tracked=tracked), 5 * index))
        assert play.sent() == ([index] if index in (0, 4) else [])
