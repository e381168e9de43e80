"""Live sources with real cameras: RTSP and HTTP servers that are killed, frozen, changed, and that misbehave.

Nothing here measures time: the limits are generous, and only say when a test has failed.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av.logging
import pytest

from edge_autotuner.capture import open_source
from edge_autotuner.capture.live import LiveSource
from edge_autotuner.config import StreamConfig
from edge_autotuner.core import CaptureEvent, Frame, OnEvent, ignore_event
from edge_autotuner.errors import VideoError
from support.cameras.live_feeds import EventList
from support.cameras.live_servers import CameraServer, rtsp_camera

LIMIT_S = 120.0  # far beyond what anything here takes, unless it hangs
PASSWORD = "geh@eim/:?#%41 x"
IMPATIENT = {
    "open_timeout_s": 60.0, "read_timeout_s": 1.5, "first_retry_s": 0.1, "longest_retry_s": 0.4, "frozen_after_s": None,
}  # fmt: skip


@contextmanager
def watching(
    address: str, on_event: OnEvent = ignore_event, *, lossless: bool = False, **settings: Any
) -> Iterator[LiveSource]:
    """Open a camera with short time-outs, and close it again."""
    source = open_source(
        address,
        StreamConfig(**IMPATIENT | settings),
        on_event=on_event,
        lossless=lossless,
        end_time_s=LIMIT_S,
    )
    assert isinstance(source, LiveSource)
    with source:
        yield source
    assert [thread for thread in threading.enumerate() if thread.name.startswith("camera ")] == []


def frame_until(frames: Iterator[Frame], is_it: Callable[[Frame], bool]) -> Frame:
    """Return the first frame that is it; frames end when the limit has passed."""
    for frame in frames:
        if is_it(frame):
            return frame
    raise AssertionError("it did not happen")


def some_frames(source: LiveSource, n: int = 5) -> list[Frame]:
    """Return n more frames, which rise in number and time."""
    frames = []
    for frame in source.frames():
        frames.append(frame)
        if len(frames) == n:
            break
    assert len(frames) == n
    indices, times_s = [frame.index for frame in frames], [frame.time_s for frame in frames]
    assert indices == sorted(set(indices))
    assert times_s == sorted(times_s)
    return frames


def frames_after(source: LiveSource, events: EventList, kind: str) -> Frame:
    """Return a frame that came after something happened and the camera was there again."""

    def came_back(_: Frame) -> bool:
        kinds = events.kinds
        return kind in kinds and "connected" in kinds[kinds.index(kind) :]

    return frame_until(source.frames(), came_back)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_an_rtsp_camera_that_is_killed_and_comes_back_different(transport: str) -> None:
    events = EventList()
    with rtsp_camera("--size", "320x240", "--rate", "20") as camera:
        address = f"rtsp://127.0.0.1:{camera.port}/cam"
        with watching(address, events, transport=transport) as source:
            assert (source.info.kind, source.info.name, source.info.n_frames) == ("live", address, None)
            assert (source.info.size_wh, source.info.rate_hz) == ((320, 240), 20.0)
            frames = some_frames(source)
            assert frames[-1].image_bgr.shape == (240, 320, 3)
            camera.kill()
            camera.start_again("--size", "320x240", "--rate", "20")
            same = frames_after(source, events, "connection lost")
            assert same.size_wh == (320, 240)
            camera.kill()
            camera.start_again("--size", "640x360", "--rate", "10")
            other = frame_until(source.frames(), lambda frame: frame.size_wh == (640, 360))
            assert other.index > same.index > frames[-1].index
            assert other.time_s > same.time_s > frames[-1].time_s
    assert events.details("size changed") == ["640x360, was 320x240"]
    assert events.details("rate changed") == ["10 Hz, was 20 Hz"]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_an_rtsp_camera_that_stalls_and_goes_on(transport: str) -> None:
    events = EventList()
    with (
        rtsp_camera() as camera,
        watching(f"rtsp://127.0.0.1:{camera.port}/cam", events, transport=transport) as source,
    ):
        some_frames(source)
        camera.send(signal.SIGSTOP)
        release = on_event_of(events, "stalled", lambda: camera.send(signal.SIGCONT))
        frames_after(source, events, "stalled")
        release.join()
    assert events.details("stalled")[0].startswith("no data for 1.5 s; next attempt within ")


def on_event_of(events: EventList, kind: str, act: Callable[[], None]) -> threading.Thread:
    """Do something as soon as something happened, while the test waits for frames."""
    stop = threading.Event()

    def watch() -> None:
        for _ in range(int(LIMIT_S / 0.02)):
            if kind in events.kinds:
                break
            stop.wait(0.02)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_an_rtsp_camera_that_is_not_there_yet() -> None:
    events = EventList()
    with rtsp_camera() as camera:
        camera.kill()
        starting = on_event_of(events, "connection failed", camera.start_again)
        with watching(f"rtsp://127.0.0.1:{camera.port}/cam", events) as source:
            some_frames(source)
        starting.join()
    assert events.details("connection failed")[0].startswith("connection refused: the camera is starting, or the port")
    assert events.kinds[-1] == "connected"


def test_a_wrong_path_is_an_error_at_once() -> None:
    with rtsp_camera() as camera:
        address = f"rtsp://127.0.0.1:{camera.port}/garden"
        with pytest.raises(VideoError, match=r"/garden: no such stream \(404\); check the path of the address$"):
            open_source(address, StreamConfig(open_timeout_s=30))


@pytest.mark.parametrize("login", ["basic", "digest"])
def test_passwords_of_rtsp_cameras(
    login: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", PASSWORD)
    monkeypatch.setenv("WRONG_PASSWORD", PASSWORD + "!")
    events = EventList()
    arguments = ("--user", "vie wer", "--password", PASSWORD, "--login", login)
    with everything_logged(caplog), rtsp_camera(*arguments) as camera:
        place = f"127.0.0.1:{camera.port}/cam"
        for entry in ("", "vie%20wer:${WRONG_PASSWORD}@"):
            with pytest.raises(
                VideoError, match=r"/cam: the user name or password is missing or wrong \(401\)"
            ) as caught:
                open_source(f"rtsp://{entry}{place}")
            assert_secret_is_kept(caplog, events, caught.value)
        with watching(f"rtsp://vie%20wer:${{CAMERA_PASSWORD}}@{place}", events) as source:
            assert source.info.name == f"rtsp://{place}"
            some_frames(source)
            camera.kill()
            camera.start_again(*arguments)
            frames_after(source, events, "connection lost")
            assert_secret_is_kept(caplog, events, source.info, source.__dict__)


@pytest.fixture(scope="module")
def web_camera() -> Iterator[CameraServer]:
    """Return a well and ill behaved MJPEG camera."""
    with CameraServer("mjpeg_server.py", CAMERA_PASSWORD=PASSWORD) as camera:
        yield camera


def test_an_mjpeg_camera(web_camera: CameraServer) -> None:
    with watching(f"http://127.0.0.1:{web_camera.port}/moving") as source:
        assert source.info.size_wh == (160, 120)
        frames = some_frames(source)
    assert frames[0].image_bgr.shape == (120, 160, 3)
    assert (frames[0].luma != frames[-1].luma).any()


def test_an_mjpeg_camera_that_is_killed_and_comes_back() -> None:
    events = EventList()
    with (
        CameraServer("mjpeg_server.py") as camera,
        watching(f"http://127.0.0.1:{camera.port}/moving", events) as source,
    ):
        some_frames(source)
        camera.kill()
        camera.start_again()
        frames_after(source, events, "connection lost")


def test_passwords_of_web_cameras(
    web_camera: CameraServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", PASSWORD)
    events = EventList()
    place = f"127.0.0.1:{web_camera.port}/private/broken-off?token={PASSWORD.split('#')[0]}&channel=1"
    place = place.replace("@", "%40")
    with everything_logged(caplog):
        for entry in ("", f"viewer:{PASSWORD[:4]}@"):
            with pytest.raises(VideoError, match=r"the user name or password is missing or wrong \(401\)") as caught:
                open_source(f"http://{entry}{place}")
            assert_secret_is_kept(caplog, events, caught.value)
        with watching(f"http://viewer:${{CAMERA_PASSWORD}}@{place}", events) as source:
            frames_after(source, events, "connection lost")
            assert source.info.name.endswith("/private/broken-off?token=***&channel=1")
            assert_secret_is_kept(caplog, events, source.info, source.__dict__)


@contextmanager
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let FFmpeg and Python log all that they can."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.TRACE)
    try:
        with caplog.at_level(1):
            yield
    finally:
        av.logging.set_level(before)


def assert_secret_is_kept(caplog: pytest.LogCaptureFixture, events: EventList, *others: object) -> None:
    """Check everything that a user, a log file or a manifest could show."""
    assert caplog.records
    shown = [caplog.text, *(repr(record.__dict__) for record in caplog.records), *map(repr, events.events)]
    for other in others:
        shown += [repr(other), str(other)]
        if isinstance(other, BaseException):
            assert other.__cause__ is other.__context__ is None
            shown.append(repr(other.args))
    for text in shown:
        for part in ("geh@eim", "geh%40eim", "geh", "dmllIHdlcj", "dmlld2VyOmdla"):  # the last two: in base 64
            assert part not in text


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/garbage", "the data is not video"),
        ("/page", "the data is not video"),
        ("/nowhere", r"no such stream \(404\)"),
    ],
)
def test_what_is_no_camera_is_an_error_at_once(web_camera: CameraServer, path: str, words: str) -> None:
    with pytest.raises(VideoError, match=rf"^http://127.0.0.1:\d+{path}: {words}"):
        open_source(f"http://127.0.0.1:{web_camera.port}{path}", StreamConfig(open_timeout_s=30))


def test_a_playlist_cannot_read_files_of_this_machine(web_camera: CameraServer, tmp_path: Path) -> None:
    secret = tmp_path / "other.ts"
    secret.write_bytes(b"G" + bytes(187))
    before_s = secret.stat().st_atime_ns
    with pytest.raises(VideoError, match="the data is not video"):
        open_source(f"http://127.0.0.1:{web_camera.port}/playlist.m3u8?file={secret}", StreamConfig(open_timeout_s=30))
    assert secret.stat().st_atime_ns == before_s


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/silent", "no answer within 0.4 s"),
        ("/endless-header", "no answer within 0.4 s"),
        ("/huge-header", "no answer within 0.4 s"),
        ("/overloaded", r"the camera reports an internal error \(5xx\)"),
        ("/garbage-parts", "received data for 0.5 s, but no picture could be decoded"),
    ],
)
def test_what_may_pass_is_tried_again_for_as_long_as_wanted(web_camera: CameraServer, path: str, words: str) -> None:
    events = EventList()
    open_timeout_s = 0.4 if "no answer" in words else 20.0
    config = StreamConfig(
        open_timeout_s=open_timeout_s,
        undecodable_after_s=0.5,
        first_retry_s=0.05,
        longest_retry_s=0.1,
        give_up_after_s=1,
    )
    with pytest.raises(VideoError, match=rf"{path}: {words}; gave up: no picture for 1 s"):
        open_source(f"http://127.0.0.1:{web_camera.port}{path}", config, on_event=events)
    assert set(events.kinds) <= {"connection failed", "undecodable"}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/broken-off", "connection lost"),
        ("/stalled", "stalled"),
        ("/frozen", "frozen"),
        ("/garbage-later", "undecodable"),
        ("/endless-part", "stalled"),
    ],
)
def test_a_web_camera_that_misbehaves_is_connected_to_again(web_camera: CameraServer, path: str, kind: str) -> None:
    events = EventList()
    with watching(f"http://127.0.0.1:{web_camera.port}{path}", events, frozen_after_s=0.5) as source:
        frames_after(source, events, kind)
    (told, *_) = events.details(kind)
    assert "; next attempt within 0.1 s" in told


def test_damaged_pictures_are_left_out(web_camera: CameraServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), watching(f"http://127.0.0.1:{web_camera.port}/half-damaged") as source:
        some_frames(source)
    assert "skipped damaged packets: " in caplog.text


def test_a_recording_on_a_web_server_ends(web_camera: CameraServer) -> None:
    events = EventList()
    with watching(f"http://127.0.0.1:{web_camera.port}/finite", events, lossless=True) as source:
        frames = list(source.frames())
    assert [frame.index for frame in frames] == list(range(12))
    assert events.kinds == ["connected", "ended"]


def test_many_real_reconnects_leave_nothing_behind(web_camera: CameraServer) -> None:
    connected = threading.Semaphore(0)

    def count(event: CaptureEvent) -> None:
        if event.kind == "connected":
            connected.release()

    def wait_for(n: int) -> None:
        for _ in range(n):
            assert connected.acquire(timeout=LIMIT_S)

    with watching(f"http://127.0.0.1:{web_camera.port}/short", count, first_retry_s=0.01):
        wait_for(3)
        n_threads, n_files = threading.active_count(), len(os.listdir("/proc/self/fd"))
        wait_for(30)
        assert threading.active_count() <= n_threads
        assert len(os.listdir("/proc/self/fd")) <= n_files + 2  # a connection may be open now that was not then


def test_hls_comes_at_its_own_pace() -> None:
    with CameraServer("hls_server.py") as camera:
        with watching(f"http://127.0.0.1:{camera.port}/live.m3u8", read_timeout_s=60.0) as source:
            frames = some_frames(source, 16)
            n_seen = frames[-1].index - frames[0].index
            assert frames[-1].time_s - frames[0].time_s >= 0.9 * n_seen / 10  # 20 come at once, at 10 Hz
        with watching(f"http://127.0.0.1:{camera.port}/recorded.m3u8", lossless=True, read_timeout_s=60.0) as source:
            recorded = list(source.frames())
    assert len(recorded) == 30
    assert recorded[-1].time_s - recorded[0].time_s >= 2.8
