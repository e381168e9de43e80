"""A live source over scripted feeds, in simulated time: what it does when a camera misbehaves."""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from edge_autotuner.capture.live import LiveSource, Picture
from edge_autotuner.config import StreamConfig
from edge_autotuner.core import FakeClock, Frame
from edge_autotuner.errors import StorageError, VideoError
from support.cameras.live_feeds import (
    INTERVAL_S,
    LOST,
    REFUSED,
    WRONG_PASSWORD,
    EventList,
    ScriptedFeed,
    Visit,
    picture,
    pictures,
)

LONG_S = 30.0  # nothing here takes so long, unless it hangs
QUICK = {"first_retry_s": 1.0, "longest_retry_s": 60.0, "frozen_after_s": None}


class Watched:
    """A live source in simulated time that loses nothing, with its events."""

    def __init__(self, *visits: Visit, settings: dict[str, Any] | None = None, **arguments: Any) -> None:
        self.clock = FakeClock()
        self.events = EventList()
        self.feed = ScriptedFeed(*visits, clock=self.clock, can_reconnect=arguments.pop("can_reconnect", True))
        self.config = StreamConfig(**QUICK | (settings or {}))
        self.arguments = {"lossless": True, "rng": np.random.default_rng(1)} | arguments

    @contextmanager
    def open(self) -> Iterator[LiveSource]:
        """Open the source, and close it at the end."""
        with LiveSource(self.feed, self.config, clock=self.clock, on_event=self.events, **self.arguments) as source:
            yield source
        assert_no_thread_is_left()
        assert self.feed.n_open == 0

    def frames(self, n: int | None = None) -> list[Frame]:
        """Return the first n frames, or all of a source that ends."""
        frames: list[Frame] = []
        self.frames_into(frames, n)
        return frames

    def frames_into(self, frames: list[Frame], n: int | None = None) -> None:
        """Add the first n frames, or all of a source that ends or fails, to a list."""
        with self.open() as source:
            take(source, n, frames)


def take(source: LiveSource, n: int | None = None, frames: list[Frame] | None = None) -> list[Frame]:
    frames = [] if frames is None else frames
    for frame in source.frames():
        frames.append(frame)
        if len(frames) == n:
            break
    return frames


def camera_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("camera ")]


def assert_no_thread_is_left() -> None:
    for thread in camera_threads():  # of a source whose opening failed: it is about to end
        thread.join(LONG_S)
    assert camera_threads() == []


def test_a_source_that_ends() -> None:
    watched = Watched(Visit(pictures(5)))
    frames = watched.frames()
    assert [int(frame.luma[0, 0]) for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time_s for frame in frames] == pytest.approx([n * INTERVAL_S for n in range(5)])
    assert [frame.captured_at for frame in frames] == [
        watched.clock.started_at + timedelta(seconds=frame.time_s) for frame in frames
    ]
    assert frames[3].image_bgr.shape == (24, 32, 3)
    assert watched.events.kinds == ["connected", "ended"]
    assert watched.events.events[0].detail == "receiving 32x24 pictures at 10 Hz"


def test_info() -> None:
    watched = Watched(Visit(pictures(2, size_wh=(64, 48)), LOST, rate_hz=12.5))
    with watched.open() as source:
        info = source.info
    assert (info.kind, info.name, info.size_wh, info.n_frames, info.rate_hz, info.sha256) == (
        "live", "scripted", (64, 48), None, 12.5, "5" * 64,
    )  # fmt: skip
    assert info.is_live


def test_an_unstated_rate_is_assumed() -> None:
    watched = Watched(Visit(pictures(2), rate_hz=None))
    with watched.open() as source:
        assert source.info.rate_hz == 25.0
    assert "an unspecified rate" in watched.events.events[0].detail


def test_numbers_continue_those_of_an_earlier_source() -> None:
    frames = Watched(Visit(pictures(2)), start_index=1000, start_time_s=500.0).frames()
    assert [frame.index for frame in frames] == [1000, 1001]
    assert [frame.time_s for frame in frames] == pytest.approx([500.0, 500.0 + INTERVAL_S])


def test_a_slow_reader_sees_the_newest_frame_and_the_others_are_counted() -> None:
    given = threading.Event()

    class Announcing(ScriptedFeed):
        @contextmanager
        def connect(self, stop: threading.Event) -> Iterator[Any]:
            with super().connect(stop) as connection:
                yield connection
            given.set()

    with LiveSource(Announcing(Visit(pictures(10)))) as source:
        assert given.wait(LONG_S)
        frames = take(source)
        assert [frame.index for frame in frames] == [9]
        assert (source.n_pictures, source.n_dropped) == (10, 9)


def test_frames_goes_on_where_it_was_left() -> None:
    watched = Watched(Visit(pictures(6)))
    with watched.open() as source:
        assert [frame.index for frame in take(source, 2)] == [0, 1]
        assert [frame.index for frame in take(source)] == [2, 3, 4, 5]
        assert take(source) == []


def test_a_lost_connection_comes_back() -> None:
    watched = Watched(Visit(pictures(3), LOST), Visit(refusal=REFUSED), Visit(pictures(2, first=50)))
    frames = watched.frames()
    assert [int(frame.luma[0, 0]) for frame in frames] == [0, 1, 2, 50, 51]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert watched.events.kinds == ["connected", "connection lost", "connection failed", "connected", "ended"]
    assert watched.events.events[1].detail == "the camera closed the connection; next attempt within 1 s"
    assert watched.events.events[2].detail == "connection refused; next attempt within 2 s"
    away_s = frames[3].time_s - frames[2].time_s
    assert 0.75 * 3 <= away_s <= 3


def test_every_outage_begins_with_a_short_wait() -> None:
    lost = [Visit(pictures(1, first=n), LOST) for n in range(3)]
    watched = Watched(*lost, Visit(pictures(1)))
    watched.frames()
    assert (
        watched.events.details("connection lost") == ["the camera closed the connection; next attempt within 1 s"] * 3
    )


def test_what_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="edge_autotuner"):
        Watched(Visit(pictures(1), LOST), Visit(pictures(1))).frames()
    lines = [(record.levelname, record.message) for record in caplog.records]
    assert (
        "WARNING",
        "scripted: connection lost: the camera closed the connection; next attempt within 1 s",
    ) in lines
    assert ("INFO", "scripted: connected: receiving 32x24 pictures at 10 Hz") in lines


@pytest.mark.parametrize("visit", [Visit(refusal=WRONG_PASSWORD), Visit()], ids=["refused", "ended without a picture"])
def test_what_cannot_work_is_an_error_at_once(visit: Visit) -> None:
    watched = Watched(visit)
    with pytest.raises(
        VideoError, match=r"^scripted: (the password is wrong|the source ended without a picture)$"
    ) as caught:
        watched.frames()
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert watched.feed.n_visits == 1
    assert_no_thread_is_left()


def test_what_worked_once_is_tried_again_whatever_the_error() -> None:
    watched = Watched(Visit(pictures(1), LOST), *[Visit(refusal=WRONG_PASSWORD)] * 3, Visit(pictures(1)))
    assert len(watched.frames()) == 2
    assert len(watched.events.details("connection failed")) == 3


def test_the_first_connection_is_waited_for() -> None:
    watched = Watched(*[Visit(refusal=REFUSED)] * 8, Visit(pictures(1)))
    assert len(watched.frames()) == 1
    waits = [detail.rpartition(" within ")[2] for detail in watched.events.details("connection failed")]
    assert waits == ["1 s", "2 s", "4 s", "8 s", "16 s", "32 s", "60 s", "60 s"]


@pytest.mark.parametrize("shown", [[], pictures(3)], ids=["never there", "gone"])
def test_it_gives_up(shown: list[Any]) -> None:
    watched = Watched(Visit(shown, LOST), Visit(refusal=REFUSED), settings={"give_up_after_s": 100.0})
    frames: list[Frame] = []
    words = r"^scripted: connection refused; gave up: no picture for 100 s \(capture.stream.give_up_after_s\)$"
    with pytest.raises(VideoError, match=words):
        watched.frames_into(frames)
    assert len(frames) == len(shown)
    assert watched.clock.elapsed_s == pytest.approx(100.0 + 2 * INTERVAL_S * bool(shown), abs=1e-6)
    assert_no_thread_is_left()


def test_the_end_time_ends_the_frames() -> None:
    frames = Watched(Visit(pictures(100)), end_time_s=0.95).frames()
    assert len(frames) == 10


def test_the_end_time_ends_the_frames_while_the_camera_is_away() -> None:
    watched = Watched(Visit(pictures(3), LOST), Visit(refusal=REFUSED), end_time_s=3600.0)
    assert len(watched.frames()) == 3


def test_the_end_time_ends_the_search_for_a_camera() -> None:
    watched = Watched(Visit(refusal=REFUSED), start_time_s=100.0, end_time_s=130.0)
    with pytest.raises(VideoError, match="gave up: no picture in the whole watch time"):
        watched.frames()
    assert watched.clock.elapsed_s == pytest.approx(30.0)


def test_another_size_and_rate_after_a_reconnect() -> None:
    watched = Watched(Visit(pictures(2), LOST), Visit(pictures(2, size_wh=(64, 48)), rate_hz=5.0))
    frames = watched.frames()
    assert [frame.size_wh for frame in frames] == [(32, 24), (32, 24), (64, 48), (64, 48)]
    assert watched.events.kinds == [
        "connected", "connection lost", "connected", "rate changed", "size changed", "ended",
    ]  # fmt: skip
    assert watched.events.details("size changed") == ["64x48, was 32x24"]
    assert watched.events.details("rate changed") == ["5 Hz, was 10 Hz"]


@pytest.mark.parametrize("rate_hz", [10.2, None])
def test_about_the_same_rate_is_no_event(rate_hz: float | None) -> None:
    watched = Watched(Visit(pictures(1), LOST), Visit(pictures(1), rate_hz=rate_hz))
    watched.frames()
    assert "rate changed" not in watched.events.kinds


def test_a_size_that_changes_without_a_reconnect() -> None:
    watched = Watched(Visit([*pictures(1), *pictures(1, size_wh=(64, 48)), *pictures(1)]))
    watched.frames()
    assert watched.events.details("size changed") == ["64x48, was 32x24", "32x24, was 64x48"]


def test_a_frozen_camera_is_connected_to_again() -> None:
    watched = Watched(Visit([picture(7)] * 1000), Visit(pictures(3)), settings={"frozen_after_s": 60.0})
    frames = watched.frames()
    assert watched.feed.n_visits == 2
    assert watched.events.details("frozen") == ["the picture has been bit-identical for 60 s; next attempt within 1 s"]
    assert len(frames) == 601 + 3


def test_a_still_picture_by_intent_is_checked_ever_more_rarely() -> None:
    watched = Watched(Visit([picture(7)] * 10_000), settings={"frozen_after_s": 10.0})
    with watched.open() as source:
        for frame in source.frames():
            if frame.time_s > 400.0:
                break
    assert watched.feed.n_visits == 6  # after 10, 20, 40, 80 and 160 s


def test_a_still_recording_is_not_frozen() -> None:
    watched = Watched(Visit([picture(7)] * 1000), settings={"frozen_after_s": 10.0}, can_reconnect=False)
    assert len(watched.frames()) == 1000
    assert watched.events.kinds == ["connected", "ended"]


def test_trouble_with_a_recording_is_final() -> None:
    watched = Watched(Visit(pictures(3), LOST), can_reconnect=False)
    frames: list[Frame] = []
    with pytest.raises(VideoError, match="scripted: the camera closed the connection"):
        watched.frames_into(frames)
    assert len(frames) == 3


@pytest.mark.parametrize(("offset_s", "words"), [(3600.0, "forward by 3.6e+03 s"), (-90.0, "back by 90 s")])
def test_a_clock_that_is_set_is_told(offset_s: float, words: str, caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(Visit(pictures(100)))
    with caplog.at_level(logging.WARNING), watched.open() as source:
        frames = take(source, 2)
        watched.clock.started_at += timedelta(seconds=offset_s)
        frames += take(source)
    (event,) = [event for event in watched.events.events if event.kind == "clock jumped"]
    assert event.detail == f"the clock of this machine was set {words}"
    assert event.detail in caplog.text
    times_s = [frame.time_s for frame in frames]
    assert times_s == sorted(times_s)
    gaps_s = [(b.captured_at - a.captured_at).total_seconds() for a, b in pairwise(frames)]
    assert sorted(abs(gap) for gap in gaps_s)[-1] == pytest.approx(abs(offset_s + INTERVAL_S))


def test_an_unforeseen_error_reaches_the_reader_of_the_frames() -> None:
    def fail(event: object) -> None:
        raise StorageError("the disk is full")

    with pytest.raises(StorageError, match="the disk is full"):
        LiveSource(ScriptedFeed(Visit(pictures(3))), on_event=fail)
    assert_no_thread_is_left()


def test_who_waits_can_use_the_time_and_fail_in_it() -> None:
    watched = Watched(Visit(pictures(1), LOST), Visit(refusal=REFUSED))
    heard: list[str] = []

    def write_down() -> None:
        heard.extend(watched.events.kinds)
        if "connection failed" in heard:
            raise StorageError("the disk is full")

    with watched.open() as source, pytest.raises(StorageError, match="the disk is full"):
        list(source.frames(while_waiting=write_down))
    assert "connection lost" in heard


def test_stop_from_another_thread_ends_a_wait() -> None:
    watched = Watched(Visit(pictures(1), LOST), Visit(refusal=REFUSED), settings={"first_retry_s": 1e-3})
    with LiveSource(watched.feed, watched.config) as source:
        assert len(take(source, 1)) == 1
        stopper = threading.Timer(0.05, source.stop)
        stopper.start()
        assert take(source) == []
        stopper.join()


def test_close_ends_a_long_wait_for_the_next_attempt_at_once() -> None:
    config = StreamConfig(first_retry_s=1e6, longest_retry_s=1e6)
    told = threading.Event()
    feed = ScriptedFeed(Visit(pictures(1), LOST))
    source = LiveSource(feed, config, on_event=lambda event: event.kind == "connection lost" and told.set())
    assert told.wait(LONG_S)
    source.close()
    source.close()  # twice is fine
    assert_no_thread_is_left()
    assert take(source) == []


def test_a_source_that_nobody_holds_lets_the_camera_go() -> None:
    source = LiveSource(ScriptedFeed(Visit(pictures(1), LOST)), StreamConfig(first_retry_s=1e6, longest_retry_s=1e6))
    assert len(camera_threads()) == 1
    del source
    gc.collect()
    assert_no_thread_is_left()


class HangingFeed(ScriptedFeed):
    """Gives one picture, then its driver hangs until it is freed."""

    def __init__(self) -> None:
        super().__init__(Visit(pictures(1)))
        self.hangs = threading.Event()
        self.is_free = threading.Event()

    @contextmanager
    def connect(self, stop: threading.Event) -> Iterator[Any]:
        with super().connect(stop) as connection:
            yield _Hanging(connection, self)


class _Hanging:
    rate_hz = 10.0

    def __init__(self, connection: Any, feed: HangingFeed) -> None:
        self._connection, self._feed = connection, feed

    def pictures(self) -> Iterator[Picture]:
        yield from self._connection.pictures()
        self._feed.hangs.set()
        assert self._feed.is_free.wait(LONG_S)


def test_a_driver_that_hangs_is_an_error_and_not_a_hang() -> None:
    clock, feed = FakeClock(), HangingFeed()
    source = LiveSource(feed, clock=clock)

    def let_time_pass() -> None:
        while not feed.is_free.wait(0.01):
            clock.advance(100.0)

    passing = threading.Thread(target=let_time_pass)
    try:
        frames = source.frames()
        next(frames)
        assert feed.hangs.wait(LONG_S)
        passing.start()
        with pytest.raises(
            VideoError, match=r"scripted: the camera driver has not responded for .* s; unplug the camera"
        ):
            next(frames)
    finally:
        feed.is_free.set()
        passing.join()
        source.close()
    assert_no_thread_is_left()


def test_a_thread_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("edge_autotuner.capture.live.live_source._END_MARGIN_S", 0.05)
    feed = HangingFeed()
    feed.longest_block_s = 0.05
    source = LiveSource(feed)
    assert feed.hangs.wait(LONG_S)
    source.close()
    assert "scripted: the driver does not respond; the camera stays in use until this program exits" in caplog.text
    feed.is_free.set()
    source.close()
    assert_no_thread_is_left()


def count_open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("count", [count_open_files, threading.active_count], ids=["open files", "threads"])
def test_many_reconnects_leave_nothing_behind(count: Callable[[], int]) -> None:
    watched = Watched(Visit(pictures(2), LOST))
    with watched.open() as source:
        frames = source.frames()
        for _ in range(2):
            next(frames)
        before = count()
        for _ in range(400):
            next(frames)
        assert watched.feed.n_visits >= 200
        assert count() <= before
        assert watched.feed.n_open <= 1
