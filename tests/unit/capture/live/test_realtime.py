"""Recordings played at their own pace."""

from __future__ import annotations

import pytest

from edge_autotuner.capture.live import LiveSource, RealtimeFeed
from edge_autotuner.core import FakeClock, Frame, SourceInfo
from edge_autotuner.errors import VideoError
from edge_autotuner.simulation import SimulatedCamera
from support.cameras.capture_samples import ListedFrames, frame_of
from support.cameras.live_feeds import EventList, pictures


def play(source: object, clock: FakeClock, **arguments: object) -> LiveSource:
    return LiveSource(RealtimeFeed(source, clock=clock), clock=clock, lossless=True, **arguments)  # type: ignore[arg-type]


def test_frames_come_at_their_own_times() -> None:
    clock = FakeClock(elapsed_s=1000.0)
    listed = ListedFrames([frame_of(luma, index) for index, luma in enumerate(pictures(5))])
    events = EventList()
    with play(listed, clock, on_event=events) as source:
        frames = list(source.frames())
    assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert [int(frame.luma[0, 0]) for frame in frames] == [0, 1, 2, 3, 4]
    assert clock.elapsed_s == pytest.approx(1000.4)
    assert all(frame.captured_at is not None for frame in frames)
    assert events.kinds == ["connected", "ended"]


def test_it_goes_by_the_recordings_name_and_hash() -> None:
    camera = SimulatedCamera((64, 64), 3, seed=1)
    with play(camera, FakeClock()) as source:
        info = source.info
        assert source.length_s == pytest.approx(0.3)
    assert info == SourceInfo("live", camera.info.name, (64, 64), None, 10.0, camera.info.sha256)


def test_a_damaged_recording_is_an_error_after_its_last_frame() -> None:
    class Damaged(ListedFrames):
        def frames(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            yield from super().frames()
            raise VideoError("a.avi: frame 2 is 96x64; cut the video where the size changes")

    frames: list[Frame] = []
    source = play(Damaged([frame_of(luma, index) for index, luma in enumerate(pictures(2))]), FakeClock())
    with source, pytest.raises(VideoError, match=r"^a\.avi: frame 2 is 96x64"):
        frames.extend(source.frames())
    assert len(frames) == 2


def test_days_of_simulated_time_do_not_drift() -> None:
    n, rate_hz = 20_000, 0.1  # 55 hours
    luma = pictures(1)[0]
    listed = ListedFrames([frame_of(luma, index, rate_hz) for index in range(n)])
    clock = FakeClock()
    with play(listed, clock) as source:
        for index, frame in enumerate(source.frames()):
            assert frame.time_s == pytest.approx(index / rate_hz, abs=1e-6)
        assert source.n_dropped == 0
    assert index == n - 1
