"""How FFmpeg is asked to open cameras, and what of it may be seen."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import av.logging
import pytest
from av.format import ContainerFormat

from edge_autotuner.capture.live import CameraFeed, FeedError, LiveAddress, LiveSource, parse_live_address
from edge_autotuner.capture.live.opening import network_options, relayed_messages, webcam_options
from edge_autotuner.config import StreamConfig
from edge_autotuner.core.plugins import SOURCES
from edge_autotuner.errors import VideoError


@pytest.mark.parametrize("scheme", [name for name in SOURCES.built_in if name != "webcam"])
def test_no_address_may_lead_to_a_file(scheme: str) -> None:
    options = network_options(parse_live_address(f"{scheme}://cam:80/1"), StreamConfig())
    allowed = options["protocol_whitelist"].split(",")
    assert allowed
    assert {"file", "concat", "subfile", "data", "pipe", "fd"}.isdisjoint(allowed)
    formats = set(options.get("format_whitelist", "").split(","))
    assert "concat" not in formats


def test_only_web_servers_may_send_playlists() -> None:
    for scheme, is_allowed in (("http", True), ("https", True), ("udp", False), ("tcp", False), ("rtmp", False)):
        options = network_options(parse_live_address(f"{scheme}://cam:80/1"), StreamConfig())
        assert ("hls" in options["format_whitelist"].split(",")) is is_allowed


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rtsp(transport: str) -> None:
    config = StreamConfig(transport=transport, open_timeout_s=3, read_timeout_s=4)  # type: ignore[arg-type]
    options = network_options(parse_live_address("rtsp://cam/1"), config)
    assert options["rtsp_transport"] == transport
    assert options["allowed_media_types"] == "video"
    assert options["timeout"] == "4000000"
    assert options["analyzeduration"] == "1500000"  # within the time-out


def test_what_is_kept_while_finding_out_is_bounded() -> None:
    options = network_options(parse_live_address("http://cam/1"), StreamConfig())
    assert int(options["probesize"]) <= 5_000_000
    assert int(options["analyzeduration"]) <= 2_000_000


def test_webcam_options() -> None:
    assert webcam_options(StreamConfig(), compressed=False) == {}
    config = StreamConfig(webcam_size="1280x720", webcam_rate_hz=15)
    assert webcam_options(config, compressed=True) == {
        "input_format": "mjpeg",
        "video_size": "1280x720",
        "framerate": "15",
    }


def test_this_ffmpeg_knows_webcams() -> None:
    assert ContainerFormat("v4l2", "r").is_input


def test_a_missing_webcam() -> None:
    with pytest.raises(VideoError, match=r"^/dev/video987: no such device; list devices with: ls"):
        LiveSource(CameraFeed(parse_live_address("webcam:987"), StreamConfig()))


def test_a_device_that_is_no_camera(tmp_path: Path) -> None:
    (tmp_path / "device").write_bytes(b"none")
    address = LiveAddress("webcam", str(tmp_path / "device"), "/dev/video9")
    with pytest.raises(VideoError, match=r"^/dev/video9: this device is not a camera; try another number$"):
        LiveSource(CameraFeed(address, StreamConfig()))


def test_a_webcam_without_jpeg_pictures_is_asked_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, str]] = []

    def refuse(*_: object, container_options: dict[str, str], **__: object) -> None:
        asked.append(container_options)
        raise av.error.ArgumentError(22, "Invalid argument", "/dev/video0")

    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(VideoError, match=r"/dev/video0: the camera does not support the requested size or rate"):
        LiveSource(CameraFeed(parse_live_address("webcam:0"), StreamConfig(webcam_size="640x480")))
    assert asked == [{"input_format": "mjpeg", "video_size": "640x480"}, {"video_size": "640x480"}]


@pytest.fixture
def talkative_ffmpeg() -> Iterator[None]:
    before = av.logging.get_level()
    av.logging.set_level(av.logging.VERBOSE)
    yield
    av.logging.set_level(before)


@pytest.mark.usefixtures("talkative_ffmpeg")
def test_messages_of_ffmpeg_are_logged_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    address = parse_live_address("rtsp://me:geheim@cam/1")
    with caplog.at_level(logging.DEBUG), relayed_messages(address) as relay:
        av.logging.log(av.logging.ERROR, "rtsp", f"cannot open {address.url} for reading")
        relay()
        assert [record.message for record in caplog.records] == [
            "rtsp://cam/1: rtsp: cannot open rtsp://***@cam/1 for reading"
        ]
        av.logging.log(av.logging.WARNING, "tcp", "password geheim refused")
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
    assert caplog.records[1].message == "rtsp://cam/1: tcp: password *** refused"
    assert all(record.name.startswith("edge_autotuner.") for record in caplog.records)


@pytest.mark.usefixtures("talkative_ffmpeg")
def test_a_refused_connection_shows_no_password_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    feed = CameraFeed(parse_live_address("rtsp://me:geheim@127.0.0.1:1/1"), StreamConfig())
    with caplog.at_level(1), pytest.raises(FeedError, match="connection refused") as caught:
        connect(feed)
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert caplog.records, "FFmpeg said nothing: then this test shows nothing"
    assert "geheim" not in caplog.text
    assert "geheim" not in repr(feed.__dict__)


def connect(feed: CameraFeed) -> None:
    with feed.connect(threading.Event()):
        pass
