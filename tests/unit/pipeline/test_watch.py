"""Watching with the gate alone: what is counted, when it ends, what is said on the way, and what is advised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType

import numpy as np
import pytest

from edge_autotuner.capture import CaptureSummary, MotionGate, MotionResult
from edge_autotuner.config import BackgroundConfig, CaptureConfig, MotionConfig
from edge_autotuner.core import CaptureEvent, FakeClock, Frame, SourceInfo
from edge_autotuner.evaluation.report import MotionFacts
from edge_autotuner.pipeline.watch import GateWatch, Sight, StatusTicker, advice
from support.cameras.capture_samples import ListedFrames, scene_with_square

CONFIG = CaptureConfig(
    background=BackgroundConfig(method="first"), motion=MotionConfig(working_width_px=160, persistence_frames=1)
)
NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


class SlowFrames(ListedFrames):
    """Frames that take a second each."""

    def __init__(self, frames: list[Frame], clock: FakeClock) -> None:
        super().__init__(frames)
        self._clock = clock

    def frames(self) -> Iterator[Frame]:
        """Yield the frames."""
        for frame in super().frames():
            self._clock.advance(1.0)
            yield frame


class LiveFrames(ListedFrames):
    """Frames of a camera that has to be let go."""

    def __init__(self, frames: list[Frame]) -> None:
        super().__init__(frames)
        self.info = replace(self.info, kind="live", n_frames=None)
        self.calls: list[str] = []

    def __enter__(self) -> LiveFrames:
        self.calls.append("enter")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.calls.append("exit")


def square_passes(n_frames: int = 30, *, appears: int = 10) -> list[Frame]:
    """Return frames of an empty scene into which a square comes."""
    return [scene_with_square(i, 10 + 3 * i if i >= appears else None) for i in range(n_frames)]


def watched(source: ListedFrames, **options: float) -> tuple[list[Sight], CaptureSummary]:
    watch = GateWatch(source, CONFIG, clock=FakeClock(), **options)  # type: ignore[arg-type]
    sights = list(watch.sights())
    return sights, watch.summary()


def test_everything_is_looked_at_and_counted() -> None:
    sights, summary = watched(ListedFrames(square_passes()))
    assert [sight.frame.index for sight in sights] == list(range(30))
    gate = MotionGate(CONFIG.motion, CONFIG.background)
    for sight in sights:
        np.testing.assert_array_equal(sight.motion.regions_xyxy, gate.look(sight.frame).regions_xyxy)
    n_with_motion = sum(sight.motion.has_motion for sight in sights)
    assert 15 <= n_with_motion <= 20
    assert (summary.n_frames, summary.n_looked, summary.n_with_motion) == (30, 30, n_with_motion)
    assert summary.watched_s == pytest.approx(2.9)
    assert (summary.n_train, summary.n_test, summary.reasons) == (0, 0, {})
    assert (summary.is_live, summary.n_dropped, summary.began_at) == (False, 0, None)


@pytest.mark.parametrize(("duration_s", "n"), [(0.05, 1), (0.95, 10), (1.0, 10), (99.0, 30)])
def test_it_ends_in_time_of_the_source(duration_s: float, n: int) -> None:
    source = ListedFrames([replace(frame, time_s=frame.time_s + 100) for frame in square_passes()])
    sights, summary = watched(source, duration_s=duration_s)
    assert len(sights) == summary.n_frames == n


def test_costs_are_measured_by_the_clock() -> None:
    clock = FakeClock()
    watch = GateWatch(SlowFrames(square_passes(8), clock), CONFIG, clock=clock)
    for _ in watch.sights():
        clock.advance(10.0)  # what the caller does with a sight is not the camera's
    summary = watch.summary()
    assert (summary.decode_s, summary.gate_s) == (8.0, 0.0)


def test_nothing_came() -> None:
    sights, summary = watched(ListedFrames([]))
    assert sights == []
    assert (summary.n_frames, summary.watched_s, summary.size_wh) == (0, 0.0, (160, 120))


def live_frames() -> list[Frame]:
    """Return every second picture of a camera that began at index 40."""
    frames = square_passes(20)[::2]
    return [
        replace(frame, index=frame.index + 40, captured_at=NOON + timedelta(seconds=frame.time_s)) for frame in frames
    ]


def test_a_camera_is_let_go_at_the_end() -> None:
    source = LiveFrames(live_frames())
    _, summary = watched(source)
    assert source.calls == ["enter", "exit"]
    assert (summary.is_live, summary.n_frames, summary.n_dropped) == (True, 10, 9)
    assert (summary.began_at, summary.ended_at) == ("2026-01-02T12:00:00+00:00", "2026-01-02T12:00:01.800000+00:00")


def break_off(watch: GateWatch) -> None:
    with closing(watch.sights()) as sights:
        for _ in sights:
            raise KeyboardInterrupt


def test_a_camera_is_let_go_when_the_watch_is_broken_off() -> None:
    source = LiveFrames(live_frames())
    watch = GateWatch(source, CONFIG, clock=FakeClock())
    with pytest.raises(KeyboardInterrupt):
        break_off(watch)
    assert source.calls == ["enter", "exit"]
    assert watch.summary().n_frames == 1


def test_changes_of_the_scene_are_told() -> None:
    events: list[CaptureEvent] = []
    bright = [scene_with_square(i, None) for i in range(60)]
    dark = [replace(frame, luma=frame.luma // 3) for frame in (scene_with_square(i, None) for i in range(60, 200))]
    watch = GateWatch(
        ListedFrames(bright + dark),
        CaptureConfig(motion=CONFIG.motion, background=BackgroundConfig(n_frames=3, every_k_frames=2)),
        clock=FakeClock(),
        on_event=events.append,
    )
    assert sum(1 for _ in watch.sights()) == 200
    assert "scene changed" in [event.kind for event in events]


def sight_at(time_s: float, *, known: bool = True, moves: bool = False) -> Sight:
    luma = np.zeros((120, 160), np.uint8)
    regions = np.array([[0, 0, 80, 60]] if moves else [], np.float32).reshape(-1, 4)
    motion = MotionResult(regions, 0.25 if moves else 0.0, luma > 0, luma, luma if known else None)
    return Sight(Frame(round(time_s * 10), time_s, luma, lambda: np.zeros((120, 160, 3), np.uint8)), motion)


def test_statuses_come_every_few_seconds_of_the_source() -> None:
    ticker = StatusTicker(1.0, FakeClock())
    times = [i / 10 + 7 for i in range(31)]
    said = [time_s for time_s in times if ticker.status(sight_at(time_s)) is not None]
    assert said == pytest.approx([8.0, 9.0, 10.0])


def test_a_status_tells_of_the_time_since_the_one_before() -> None:
    clock = FakeClock()
    ticker = StatusTicker(1.0, clock)
    assert ticker.status(sight_at(0.0, known=False)) is None
    assert ticker.status(sight_at(0.5)) is None
    clock.advance(1.5)
    first = ticker.status(sight_at(1.0, moves=True))
    assert first is not None
    assert (first.time_s, first.n_frames, first.frames_per_s) == (1.0, 3, 2.0)
    assert (first.background_known, first.n_regions, first.motion_fraction) == (True, 1, 0.25)
    assert first.still_fraction == 0.5, "one of the two that could be compared"
    assert ticker.status(sight_at(1.5)) is None
    clock.advance(1.0)
    second = ticker.status(sight_at(2.0))
    assert second is not None
    assert (second.n_frames, second.still_fraction, second.frames_per_s, second.n_regions) == (2, 1.0, 2.0, 0)


def test_a_clock_that_stands_still_gives_no_speed() -> None:
    ticker = StatusTicker(0.1, FakeClock())
    ticker.status(sight_at(0.0, known=False))
    status = ticker.status(sight_at(1.0, known=False))
    assert status is not None
    assert (status.frames_per_s, status.still_fraction, status.background_known) == (0.0, 0.0, False)


GOOD = MotionFacts((80, 60), n_frames=100, n_compared=90, n_with_motion=40, covered_fraction_with_motion=0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"n_compared": 0, "n_with_motion": 0}, "the background was never known"),
        ({"n_with_motion": 0}, "no motion"),
        ({"n_with_motion": 85}, ""),
        ({"n_with_motion": 86}, "almost every frame shows motion"),
        ({"covered_fraction_with_motion": 0.26}, "the regions cover much of the frame"),
    ],
)
def test_advice(changes: dict[str, float], words: str) -> None:
    found = advice(replace(GOOD, **changes))  # type: ignore[arg-type]
    assert found.startswith(words) if words else found == ""
    assert "\n" not in found


def test_a_recording_of_unknown_length_is_no_camera_that_drops() -> None:
    source = ListedFrames(square_passes(4)[::3])
    source.info = SourceInfo("video", "gaps", (160, 120), 4, 10.0, "0" * 64)
    assert watched(source)[1].n_dropped == 0
