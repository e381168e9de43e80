"""Every live source, the same expectations: whatever gives the pictures, and however it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_autotuner.capture import PictureFolder, VideoFile
from edge_autotuner.capture.live import CameraFeed, Feed, LiveSource, RealtimeFeed, parse_live_address
from edge_autotuner.config import StreamConfig
from edge_autotuner.core import Clock, Damage, FakeClock, Frame, FrameSource, SystemClock
from edge_autotuner.core.plugins import SOURCES
from edge_autotuner.simulation import SimulatedCamera
from support.cameras.capture_samples import grey_pictures, write_video
from support.cameras.live_feeds import ScriptedFeed, Visit, pictures
from support.cameras.live_servers import CameraServer
from support.machine.installed_plugin import NAME as EXAMPLE
from support.machine.installed_plugin import installed_example

N_FRAMES = 12


def _video(folder: Path, clock: Clock) -> Feed:
    write_video(folder / "a.mp4", grey_pictures(N_FRAMES, (80, 64)), codec="libx264", pix_fmt="yuv420p")
    return RealtimeFeed(VideoFile(folder / "a.mp4"), clock=clock)


def _folder(folder: Path, clock: Clock) -> Feed:
    for index, image in enumerate(grey_pictures(N_FRAMES, (80, 64))):
        cv2.imwrite(str(folder / f"{index}.png"), image)
    return RealtimeFeed(PictureFolder(folder), clock=clock)


def _simulated(_: Path, clock: Clock) -> Feed:
    return RealtimeFeed(SimulatedCamera((80, 64), N_FRAMES, seed=1), clock=clock)


def _example(folder: Path, clock: Clock) -> Feed:
    with installed_example(folder / "site"):
        feed: Feed = SOURCES.load(EXAMPLE)(parse_live_address(f"{EXAMPLE}://80x64"), StreamConfig(), clock=clock)
    return feed


def _scripted(_: Path, clock: Clock) -> Feed:
    assert isinstance(clock, FakeClock)
    return ScriptedFeed(Visit(pictures(N_FRAMES)), clock=clock)


FEEDS: dict[str, Callable[[Path, Clock], Feed]] = {
    "video": _video,
    "folder": _folder,
    "simulated": _simulated,
    "scripted": _scripted,
    "another package's": _example,
}


@pytest.fixture(scope="module")
def web_camera() -> Iterator[CameraServer]:
    with CameraServer("mjpeg_server.py") as camera:
        yield camera


@pytest.fixture(params=[*sorted(FEEDS), "web camera"])
def source(request: pytest.FixtureRequest, tmp_path: Path, web_camera: CameraServer) -> Iterator[LiveSource]:
    clock: Clock = FakeClock()
    if request.param == "web camera":
        clock = SystemClock()
        address = parse_live_address(f"http://127.0.0.1:{web_camera.port}/finite")
        feed: Feed = CameraFeed(address, StreamConfig(), clock=clock)
    else:
        feed = FEEDS[request.param](tmp_path, clock)
    with LiveSource(feed, clock=clock, lossless=True, start_index=7, start_time_s=70.0) as live:
        yield live
    assert [thread for thread in threading.enumerate() if thread.name.startswith("camera ")] == []


def test_is_a_frame_source_that_must_be_closed(source: LiveSource) -> None:
    assert isinstance(source, FrameSource)
    assert isinstance(source, AbstractContextManager)


def test_info(source: LiveSource) -> None:
    info = source.info
    assert info.kind == "live"
    assert info.is_live
    assert info.n_frames is None
    assert info.name == source.name != ""
    assert info.rate_hz > 0
    assert len(info.sha256) == 64
    assert info.size_wh == next(iter(source.frames())).size_wh


def test_all_frames_come_with_rising_numbers_and_times(source: LiveSource) -> None:
    frames = list(source.frames())
    assert [frame.index for frame in frames] == list(range(7, 7 + N_FRAMES))
    times_s = [frame.time_s for frame in frames]
    assert times_s[0] >= 70.0
    assert times_s == sorted(times_s)
    assert (source.n_pictures, source.n_dropped) == (N_FRAMES, 0)


def test_wall_clock_stamps(source: LiveSource) -> None:
    stamps = [frame.captured_at for frame in source.frames()]
    assert all(stamp is not None and stamp.tzinfo is UTC for stamp in stamps)
    assert stamps == sorted(stamp for stamp in stamps if stamp is not None)


def test_shapes_and_types(source: LiveSource) -> None:
    width, height = source.info.size_wh
    for frame in source.frames():
        assert frame.luma.shape == (height, width)
        assert frame.image_bgr.shape == (height, width, 3)
        assert frame.luma.dtype == frame.image_bgr.dtype == np.uint8


def test_kept_frames_do_not_change(source: LiveSource) -> None:
    """A decoder that used its memory again would show a later picture in an earlier frame."""
    kept: list[tuple[Frame, np.ndarray]] = [(frame, frame.luma.copy()) for frame in source.frames()]
    for frame, luma in kept:
        np.testing.assert_array_equal(frame.luma, luma)


def test_frames_goes_on_where_it_was_left(source: LiveSource) -> None:
    first = next(iter(source.frames()))
    assert [frame.index for frame in source.frames()] == list(range(first.index + 1, 7 + N_FRAMES))


def test_stop_ends_it(source: LiveSource) -> None:
    frames = iter(source.frames())
    next(frames)
    source.stop()
    assert list(frames) == []
    assert list(source.frames()) == []
    source.close()


def test_frames_of_a_camera_have_no_files_and_no_damage(source: LiveSource) -> None:
    frame = next(source.frames())
    assert (source.names, source.original_path(frame), source.damage) == ((), None, Damage())
    assert source.span_s(range(10)) == pytest.approx(10 / source.info.rate_hz)
