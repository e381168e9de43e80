"""Addresses of cameras: what is understood, what FFmpeg gets, and what is shown."""

from __future__ import annotations

import pytest

from edge_autotuner.capture.live import is_live_address, parse_live_address, redact
from edge_autotuner.errors import ConfigError

ENVIRON = {
    "PASSWORD": "p@ss:w/rd?#%41",
    "USER_AND_PASSWORD": "adm in:p@ss",
    "CAMERA": "rtsp://admin:geheim@10.0.0.7/live",
    "HOST": "10.0.0.7:8554",
    "TOKEN": "a b&c",
}


@pytest.mark.parametrize(
    ("text", "is_live"),
    [
        ("rtsp://cam/1", True),
        ("RTSP://cam/1", True),
        ("  http://cam/video.mjpg ", True),
        ("gopher://cam/1", True),  # refused later, with a reason
        ("/dev/video0", True),
        ("/dev/v4l/by-id/usb-cam-index0", True),
        ("webcam:3", True),
        ("street.mp4", False),
        ("./rtsp/street.mp4", False),
        ("/dev/videos", False),
        ("webcam:front", False),
        ("", False),
        ("/videos/${UNSET_VARIABLE}.mp4", False),
        ("${UNSET_VARIABLE}/street.mp4", True),  # refused later, with a reason
    ],
)
def test_what_counts_as_a_camera(text: str, is_live: bool) -> None:
    assert is_live_address(text) is is_live


def test_a_variable_may_hold_the_whole_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_CAMERA", ENVIRON["CAMERA"])
    monkeypatch.setenv("A_FOLDER", "/videos")
    assert is_live_address("${A_CAMERA}")
    assert not is_live_address("${A_FOLDER}/street.mp4")
    assert parse_live_address("${A_CAMERA}").shown == "rtsp://10.0.0.7/live"


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        pytest.param("rtsp://cam/1", "rtsp://cam/1", "rtsp://cam/1", id="plain"),
        pytest.param(" RTSP://Cam:554/1?x=2#y ", "rtsp://Cam:554/1?x=2#y", "rtsp://Cam:554/1?x=2#y", id="all parts"),
        pytest.param("rtsp://me:pw@cam/1", "rtsp://me:pw@cam/1", "rtsp://cam/1", id="login"),
        pytest.param("rtsp://me@cam/1", "rtsp://me@cam/1", "rtsp://cam/1", id="user only"),
        pytest.param("rtsp://me:p@s:s@cam/1", "rtsp://me:p%40s%3As@cam/1", "rtsp://cam/1", id="@ and : in password"),
        pytest.param("rtsp://me:p%40s@cam/1", "rtsp://me:p%40s@cam/1", "rtsp://cam/1", id="encoded stays encoded"),
        pytest.param("rtsp://me:100%@cam/1", "rtsp://me:100%25@cam/1", "rtsp://cam/1", id="a lone per cent"),
        pytest.param("rtsp://me:p%2Fs@[fe80::1%25eth0]:554/1", None, "rtsp://[fe80::1%25eth0]:554/1", id="IPv6"),
        pytest.param(
            "rtsp://me:${PASSWORD}@cam/1", "rtsp://me:p%40ss%3Aw%2Frd%3F%23%2541@cam/1", "rtsp://cam/1", id="variable"
        ),
        pytest.param("rtsp://${USER_AND_PASSWORD}@cam", "rtsp://adm%20in:p%40ss@cam", "rtsp://cam", id="both in one"),
        pytest.param("${CAMERA}", "rtsp://admin:geheim@10.0.0.7/live", "rtsp://10.0.0.7/live", id="everything"),
        pytest.param("${CAMERA}/2", None, "rtsp://10.0.0.7/live/2", id="the beginning"),
        pytest.param("http://${HOST}/v", "http://10.0.0.7:8554/v", "http://10.0.0.7:8554/v", id="host is shown"),
        pytest.param("http://cam/v?x=${TOKEN}", "http://cam/v?x=a%20b%26c", "http://cam/v?x=${TOKEN}", id="query"),
        pytest.param("http://cam/${HOST}/v", "http://cam/10.0.0.7:8554/v", "http://cam/${HOST}/v", id="path"),
        pytest.param("rtmp://me:p%40s@cam/a", "rtmp://me:p%40s@cam/a", "rtmp://cam/a", id="rtmp does not decode"),
        pytest.param("udp://@239.0.0.1:1234", "udp://@239.0.0.1:1234", "udp://239.0.0.1:1234", id="multicast"),
        pytest.param("udp://:1234", "udp://:1234", "udp://:1234", id="listen"),
        pytest.param("webcam:02", "/dev/video2", "/dev/video2", id="webcam"),
        pytest.param("/dev/v4l/by-id/usb-cam", "/dev/v4l/by-id/usb-cam", "/dev/v4l/by-id/usb-cam", id="webcam by name"),
    ],
)
def test_understood(text: str, url: str | None, shown: str) -> None:
    address = parse_live_address(text, ENVIRON)
    assert address.shown == shown
    assert url is None or address.url == url
    assert "pw" not in repr(address)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gopher://cam/1", "'gopher://' is not supported; use one of rtsp, rtsps"),
        ("file:///etc/passwd", "'file://' is not supported"),
        ("rtsp:///1", "has no host; use e.g. rtsp://host/path"),
        ("rtsp://me:pw@/1", "has no host"),
        ("rtsp://cam:port/1", "invalid host or port in the address rtsp://..."),
        ("rtsp://cam:99999/1", "host or port"),
        ("rtsp://fe80::1/1", r"an IPv6 address in \[ \]"),
        ("rtsp://me:p/w@cam/1", "an '@' after its host; percent-encode special characters"),
        ("rtsp://me:1/w@cam/1", "an '@' after its host"),
        ("http://cam/v?user=me@home", "an '@' after its host"),
        ("tcp://cam", "tcp://cam has no port; use e.g. tcp://host:5000"),
        ("rtsp://cam/a b", "a space or control character; use %20"),
        ("rtsp://cam/a\nb", "a space or control character"),
        ("rtsp://me:${UNSET}@cam/1", "uses the environment variable UNSET, which is not set"),
        ("${UNSET}", "uses the environment variable UNSET"),
        ("cam/1", "'cam/1' is not a camera address; use e.g. rtsp://host:554/path"),
    ],
)
def test_not_understood(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_live_address(text, ENVIRON)
    message = str(caught.value)
    assert "\n" not in message
    assert "pw" not in message
    assert "p/w" not in message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://u:p@cam:554/a", "rtsp://cam:554/a"),
        ("rtsp://u:p/q@cam/a", "rtsp://cam/a"),
        ("rtsp://u:p@q@[::1]:554/a", "rtsp://[::1]:554/a"),
        ("http://cam/a?user=me&pwd=x&channel=1", "http://cam/a?user=***&pwd=***&channel=1"),
        ("http://cam/a?channel=1&Access%54oken=x", "http://cam/a?channel=1&Access%54oken=***"),
        ("http://cam/a?x=1;password=y;z=2", "http://cam/a?x=1;password=***"),
        ("rtsp://cam/user=me_password=x_channel=1?real", "rtsp://cam/user=***"),
        ("rtsp://cam/a&password=x/y?b", "rtsp://cam/a&password=***"),
        ("http://cam/a?token=", "http://cam/a?token=***"),
        ("http://cam/a?codec=h264&resolution=640x480", "http://cam/a?codec=h264&resolution=640x480"),
        ("u:p@cam/a", "cam/a"),
        ("street@night.mp4", "street@night.mp4"),
        ("runs/token=1", "runs/token=1"),
        ("/dev/video0", "/dev/video0"),
        ("", ""),
    ],
)
def test_redacted(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_the_hash_does_not_depend_on_the_password() -> None:
    one, other = (parse_live_address(f"rtsp://me:{word}@cam/1") for word in ("old", "new"))
    assert one.sha256 == other.sha256 != parse_live_address("rtsp://cam/2").sha256
    assert len(one.sha256) == 64


@pytest.mark.parametrize(
    "text",
    [
        "Opening 'http://me:p%40ss@cam/v' for reading",
        "user me, password p@ss",
        "Authorization: Basic bWU6cEBzcw==",
        "GET /v?x=s%20e&y=2",
        "x is s e",
    ],
)
def test_texts_of_others_are_scrubbed(text: str) -> None:
    address = parse_live_address("http://me:p@ss@cam/v?token=a1b2&x=${SECRET}", {"SECRET": "s e"})
    scrubbed = address.scrub(text + " a1b2")
    for secret in ("p@ss", "p%40ss", "me", "bWU6cEBzcw", "s e", "s%20e", "a1b2"):
        assert secret not in scrubbed


def test_logins_of_other_cameras_are_scrubbed_too() -> None:
    address = parse_live_address("rtsp://cam/1")
    text = "last message repeated: opening 'rtsp://you:word@cam2/1'"
    assert address.scrub(text) == "last message repeated: opening 'rtsp://***@cam2/1'"
    assert address.scrub("mail me@home") == "mail me@home"
