"""What FFmpeg's errors mean for a camera: every one of them has words, and none of the words is FFmpeg's address."""

from __future__ import annotations

import errno

import pytest
from av import error as av_error
from av.error import FFmpegError

from edge_autotuner.capture.live.address import LiveAddress, parse_live_address
from edge_autotuner.capture.live.failures import SettingsRefused, explain_opening, explain_reading

CAMERA = parse_live_address("http://me:geheim@cam/1")
RTSP = parse_live_address("rtsp://me:geheim@cam/1")
WEBCAM = parse_live_address("webcam:0")


def error(code: int) -> FFmpegError:
    """Return the error that PyAV raises for a code, with an address and log as it adds them."""
    kind = av_error.classes.get(code, av_error.UndefinedError)
    return kind(code, "Words of FFmpeg", CAMERA.url, (16, "http", CAMERA.url))  # type: ignore[operator, no-any-return]


def code_of(name: str) -> int:
    return int(getattr(av_error.ErrorType, name))


@pytest.mark.parametrize(
    ("code", "is_permanent", "words"),
    [
        (code_of("HTTP_UNAUTHORIZED"), True, "user name or password is missing or wrong (401)"),
        (code_of("HTTP_FORBIDDEN"), True, "may not view this stream (403)"),
        (code_of("HTTP_NOT_FOUND"), True, "no such stream (404)"),
        (code_of("HTTP_BAD_REQUEST"), True, "(400)"),
        (code_of("PROTOCOL_NOT_FOUND"), True, "does not support this protocol"),
        (code_of("DEMUXER_NOT_FOUND"), True, "does not support this type of stream"),
        (code_of("DECODER_NOT_FOUND"), True, "cannot decode this video"),
        (code_of("INVALIDDATA"), True, "the data is not video"),
        (errno.EINVAL, True, "is not allowed"),
        (code_of("HTTP_OTHER_4XX"), False, "refuses the request (4xx)"),
        (code_of("HTTP_TOO_MANY_REQUESTS"), False, "refuses the request (4xx)"),
        (code_of("HTTP_SERVER_ERROR"), False, "an internal error (5xx)"),
        (errno.ECONNREFUSED, False, "connection refused"),
        (errno.ECONNRESET, False, "closed the connection"),
        (errno.EPIPE, False, "closed the connection"),
        (code_of("EOF"), False, "closed the connection"),
        (errno.EHOSTUNREACH, False, "it is off, or on another network"),
        (errno.ENETUNREACH, False, "the network is unreachable"),
        (errno.EIO, False, "check the address and the network"),
        (errno.EADDRINUSE, False, "in use by another program"),
        (code_of("EXIT"), False, "no answer within 10 s"),
        (errno.ETIMEDOUT, False, "no answer within 10 s"),
        (code_of("EXTERNAL"), False, "Words of FFmpeg"),
    ],
)
def test_opening(code: int, is_permanent: bool, words: str) -> None:
    failure = explain_opening(error(code), CAMERA, waited_s=1.0, timeout_s=10.0)
    assert failure.kind == "connection failed"
    assert failure.is_permanent is is_permanent
    assert words in str(failure)


@pytest.mark.parametrize("address", [CAMERA, RTSP, WEBCAM], ids=lambda address: address.scheme)
def test_no_error_shows_the_address(address: LiveAddress) -> None:
    assert len(av_error.classes) > 100
    for code in av_error.classes:
        assert "geheim" in str(error(code))
        words = str(explain_opening(error(code), address, waited_s=1.0, timeout_s=10.0))
        assert words
        assert "geheim" not in words + str(explain_reading(error(code), read_timeout_s=10.0))


def test_an_attempt_that_took_all_its_time_ran_out_of_time_whatever_it_says() -> None:
    failure = explain_opening(error(code_of("INVALIDDATA")), CAMERA, waited_s=10.0, timeout_s=10.0)
    assert str(failure) == "no answer within 10 s"
    assert not failure.is_permanent


def test_an_rtsp_relay_without_its_camera_is_worth_another_attempt() -> None:
    failure = explain_opening(error(code_of("INVALIDDATA")), RTSP, waited_s=0.1, timeout_s=10.0)
    assert not failure.is_permanent
    assert "closed without an RTSP reply" in str(failure)


@pytest.mark.parametrize(
    ("code", "is_permanent", "words"),
    [
        (errno.ENOENT, True, "no such device; list devices with: ls /dev/video*"),
        (errno.EACCES, True, "add the user to the group 'video'"),
        (errno.ENOTTY, True, "this device is not a camera"),
        (errno.ENODEV, True, "this device delivers no pictures"),
        (code_of("DEMUXER_NOT_FOUND"), True, "no support for webcams"),
        (errno.EBUSY, False, "in use by another program"),
        (errno.EIO, False, "Words of FFmpeg"),
    ],
)
def test_webcams(code: int, is_permanent: bool, words: str) -> None:
    failure = explain_opening(error(code), WEBCAM, waited_s=1.0, timeout_s=10.0)
    assert failure.is_permanent is is_permanent
    assert words in str(failure)


def test_a_webcam_that_does_not_offer_a_size() -> None:
    failure = explain_opening(error(errno.EINVAL), WEBCAM, waited_s=1.0, timeout_s=10.0)
    assert isinstance(failure, SettingsRefused)
    assert "check capture.stream.webcam_size and capture.stream.webcam_rate_hz" in str(failure)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (code_of("EXIT"), "stalled", "no data for 10 s"),
        (errno.ETIMEDOUT, "stalled", "no data for 10 s"),
        (code_of("INVALIDDATA"), "undecodable", "no longer valid video"),
        (errno.ENODEV, "connection lost", "the camera was unplugged"),
        (errno.EIO, "connection lost", "closed the connection (Words of FFmpeg)"),
        (errno.ECONNRESET, "connection lost", "closed the connection"),
    ],
)
def test_reading(code: int, kind: str, words: str) -> None:
    failure = explain_reading(error(code), read_timeout_s=10.0)
    assert failure.kind == kind
    assert words in str(failure)


@pytest.mark.parametrize("address", [CAMERA, WEBCAM], ids=["network", "webcam"])
def test_errors_that_are_not_ffmpegs_have_words_too(address: LiveAddress) -> None:
    for failure in (ValueError(CAMERA.url), OSError(errno.ENOSPC, "No space", CAMERA.url), OSError(CAMERA.url)):
        explained = explain_opening(failure, address, waited_s=0.0, timeout_s=10.0)
        assert str(explained) in {"ValueError", "No space", "OSError"}
