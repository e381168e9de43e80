"""Says in plain words what FFmpeg's errors mean for a camera, and whether another attempt can help.

FFmpeg's own texts contain the address with its password: nothing of them is used but the fixed words of an error
code. A `FeedError` must be raised after the `except` block has been left, or Python attaches the foreign error to it.
"""

from __future__ import annotations

import base64
import errno
import http.client
import socket
import ssl
from contextlib import closing
from urllib.parse import unquote, urlsplit

from av import error as av_error

from edge_autotuner.capture.live.address import LiveAddress
from edge_autotuner.capture.live.feed import FeedError
from edge_autotuner.core.link_failures import connection_failure, redirect_words

OpenError = (av_error.FFmpegError, OSError, ValueError)
"""What PyAV raises when something cannot be opened or read."""

_TRANSPORT_HINT = "check the address, or try the other transport (capture.stream.transport)"

_PERMANENT: tuple[tuple[type[Exception], str], ...] = (
    (av_error.HTTPUnauthorizedError, "the user name or password is missing or wrong (401); check them in the address"),
    (
        av_error.HTTPForbiddenError,
        "the user may not view this stream (403); check the user's permissions on the camera",
    ),
    (av_error.HTTPNotFoundError, "no such stream (404); check the path of the address"),
    (av_error.HTTPBadRequestError, "the camera rejects the address (400); check its path"),
    (av_error.ProtocolNotFoundError, "the installed FFmpeg does not support this protocol; use RTSP or HTTP"),
    (av_error.DemuxerNotFoundError, "the installed FFmpeg does not support this type of stream"),
    (av_error.DecoderNotFoundError, "the installed FFmpeg cannot decode this video; set the camera to H.264"),
    (av_error.InvalidDataError, "the data is not video; try the address in a player"),
    (av_error.ArgumentError, "the address, or one it redirects to, is not allowed; try it in a player"),
)
_RETRYABLE: tuple[tuple[type[Exception], str], ...] = (
    (av_error.HTTPClientError, f"the camera refuses the request (4xx); {_TRANSPORT_HINT}"),
    (av_error.HTTPServerError, "the camera reports an internal error (5xx)"),
    (av_error.ConnectionRefusedError, "connection refused: the camera is starting, or the port is wrong"),
    (av_error.ConnectionResetError, "the camera closed the connection"),
    (av_error.BrokenPipeError, "the camera closed the connection"),
    (av_error.EOFError, "the camera closed the connection"),
)
_RETRYABLE_CODES = {
    errno.EHOSTUNREACH: "the camera is unreachable: it is off, or on another network",
    errno.ENETUNREACH: "the network is unreachable",
    errno.EIO: "the connection failed or was closed at once; check the address and the network",
    errno.EADDRINUSE: "the port is in use by another program on this machine",
    errno.EADDRNOTAVAIL: "this machine has no such network address",
}
_WEBCAM_PERMANENT = {
    errno.ENOENT: "no such device; list devices with: ls /dev/video*",
    errno.EACCES: "permission denied; add the user to the group 'video' and log in again",
    errno.EPERM: "permission denied; add the user to the group 'video' and log in again",
    errno.ENOTTY: "this device is not a camera; try another number",
    errno.ENODEV: "this device delivers no pictures; try another number",
}
_WEBCAM_REFUSAL = (
    "the camera does not support the requested size or rate; check capture.stream.webcam_size and "
    "capture.stream.webcam_rate_hz"
)
_DIAGNOSIS_LIMIT_S = 3.0
_WEBCAM_BUSY = "the camera is in use by another program; close it"


class SettingsRefused(FeedError):
    """A webcam does not offer what it was asked for."""


def explain_opening(failure: Exception, address: LiveAddress, *, waited_s: float, timeout_s: float) -> FeedError:
    """Describe why a connection failed to open.

    Args:
        failure: one of `OpenError`.
        address: of the camera.
        waited_s: how long the attempt took, seconds.
        timeout_s: how long it was allowed to take.
    """
    if isinstance(failure, av_error.ExitError | av_error.TimeoutError) or waited_s >= timeout_s:
        # An attempt that ran out of time ends with various codes, RTSP's with "invalid data".
        return FeedError("connection failed", f"no answer within {timeout_s:g} s")
    code = getattr(failure, "errno", None)
    if address.is_webcam:
        return _explain_webcam(failure, code)
    if address.scheme.startswith("rtsp") and isinstance(failure, av_error.InvalidDataError):
        # Also what comes when a relay accepts connections before the camera behind it does.
        return FeedError("connection failed", "the connection was closed without an RTSP reply")
    for kind, words in _PERMANENT:
        if isinstance(failure, kind):
            return FeedError("connection failed", words, is_permanent=True)
    for kind, words in _RETRYABLE:
        if isinstance(failure, kind):
            return FeedError("connection failed", words)
    return FeedError("connection failed", _RETRYABLE_CODES.get(code or 0, _fixed_words(failure)))


def explain_reading(failure: Exception, *, read_timeout_s: float) -> FeedError:
    """Describe what interrupted an open connection."""
    if isinstance(failure, av_error.ExitError | av_error.TimeoutError):
        return FeedError("stalled", f"no data for {read_timeout_s:g} s")
    if isinstance(failure, av_error.InvalidDataError):
        return FeedError("undecodable", "the data is no longer valid video")
    if getattr(failure, "errno", None) == errno.ENODEV:
        return FeedError("connection lost", "the camera was unplugged")
    return FeedError("connection lost", f"the camera closed the connection ({_fixed_words(failure)})")


def _explain_webcam(failure: Exception, code: int | None) -> FeedError:
    if code == errno.EBUSY:
        return FeedError("connection failed", _WEBCAM_BUSY)
    if code == errno.EINVAL:
        return SettingsRefused("connection failed", _WEBCAM_REFUSAL, is_permanent=True)
    words = _WEBCAM_PERMANENT.get(code or 0)
    if words is None and isinstance(failure, av_error.LookupError):
        words = "the installed FFmpeg has no support for webcams (V4L2)"
    return FeedError("connection failed", words or _fixed_words(failure), is_permanent=words is not None)


def _fixed_words(failure: Exception) -> str:
    """Return the words for the error's code, which hold nothing of the address."""
    if isinstance(failure, av_error.FFmpegError | OSError) and failure.strerror:
        return str(failure.strerror)
    return type(failure).__name__


def diagnose(address: LiveAddress, *, limit_s: float = _DIAGNOSIS_LIMIT_S) -> str | None:
    """Find out what is wrong with an address for which FFmpeg says "input/output error", which says nothing.

    Args:
        address: a camera of the network.
        limit_s: longest wait of each step.

    Returns:
        Words without its path, query and login; None: nothing is found.
    """
    parts = urlsplit(address.url)
    if not parts.hostname:
        return None
    try:
        socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return "cannot resolve the host name; check the address and this machine's DNS"
    if parts.scheme not in {"http", "https"}:
        return None
    try:
        return _words_of_answer(address.url, limit_s)
    except (OSError, http.client.HTTPException, ValueError) as exc:
        return f"the server there does not respond like a camera ({connection_failure(exc)}); check the address"


def _words_of_answer(url: str, limit_s: float) -> str | None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        unchecked = ssl._create_unverified_context()  # as FFmpeg does unless told otherwise
        link: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, parts.port, timeout=limit_s, context=unchecked
        )
    else:
        link = http.client.HTTPConnection(host, parts.port, timeout=limit_s)
    headers = {}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    with closing(link):
        link.request("GET", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", headers=headers)
        with closing(link.getresponse()) as answer:
            if not 300 <= answer.status < 400:
                return None
            where = redirect_words(answer.getheader("Location"), url)
    return f"{where}, in a loop or too often; use the final address"
