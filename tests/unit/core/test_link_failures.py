"""Every exception of a connection gets the words of its real cause, and no secret of an address."""

from __future__ import annotations

import errno
import http.client
import inspect
import socket
import ssl
import urllib.error

import httpcore2
import httpx2
import pytest

from edge_autotuner.core.link_failures import certificate_failure, connection_failure, redirect_words, without_query


def verification() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] (_ssl.c:1006)")
    error.verify_message = "certificate has expired"
    return error


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] (_ssl.c:1006)")
    error.reason = reason
    return error


CAUSES: dict[str, tuple[BaseException, str]] = {
    "certificate": (verification(), "its certificate is not valid: certificate has expired"),
    "tls": (tls("WRONG_VERSION_NUMBER"), "TLS failed (wrong version number); the port may use plain HTTP"),
    "handshake": (TimeoutError("_ssl.c:989: The handshake operation timed out"), "TLS handshake timed out"),
    "name": (socket.gaierror(-2, "Name or service not known"), "cannot resolve the host name"),
    "refused": (
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        "connection refused: the program is not running",
    ),
    "reset": (ConnectionResetError(errno.ECONNRESET, "reset"), "connection reset"),
    "host": (OSError(errno.EHOSTUNREACH, "No route"), "the host is unreachable"),
    "network": (OSError(errno.ENETUNREACH, "Network"), "the network is unreachable"),
    "silence": (TimeoutError("timed out"), "timed out"),
    "connection closed": (http.client.RemoteDisconnected("x"), "closed without a response"),
    "large head": (http.client.LineTooLong("header line"), "the response headers are too large"),
    "many headers": (http.client.HTTPException("got more than 100 headers"), "the response headers are too large"),
    "no HTTP": (http.client.BadStatusLine("SSH-2.0"), "the response is not valid HTTP"),
    "half": (http.client.IncompleteRead(b"x"), "the response is incomplete"),
}


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_behind_a_library_s_exception_is_named(name: str) -> None:
    cause, words = CAUSES[name]
    for outer in (httpx2.ConnectError("cannot"), httpx2.NetworkError("broke"), OSError("x")):
        middle = httpcore2.ConnectError("all attempts failed")
        middle.__cause__, outer.__cause__ = cause, middle
        assert connection_failure(outer).startswith(words) or words in connection_failure(outer)
    assert words in connection_failure(cause)
    assert words in connection_failure(urllib.error.URLError(cause))  # type: ignore[arg-type]
    assert (certificate_failure(cause) is not None) == (name == "certificate")


LIBRARY = [
    value
    for library in (httpx2, httpcore2)
    for value in vars(library).values()
    if inspect.isclass(value) and issubclass(value, (httpx2.HTTPError, httpcore2.NetworkError, httpcore2.ProtocolError))
]


@pytest.mark.parametrize("kind", LIBRARY, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_no_exception_of_the_libraries_is_without_words(kind: type[Exception]) -> None:
    if issubclass(kind, httpx2.HTTPStatusError):
        request = httpx2.Request("GET", "http://h")
        error: Exception = kind("", request=request, response=httpx2.Response(500, request=request))
    else:
        error = kind("")
    assert connection_failure(error)


def test_what_the_other_side_sends_is_bounded_and_printable() -> None:
    words = connection_failure(httpx2.NetworkError("\x1b[2J" + "x" * 100_000))
    assert len(words) < 200
    assert words.isprintable()


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("/v1?token=SECRET", "to another path of the same host"),
        ("http://user:SECRET@127.0.0.1:99/x?token=SECRET#SECRET", "to http://127.0.0.1:99"),
        ("http://[::1]:80/SECRET", "to http://[::1]:80"),
        ("//other.example/SECRET", "to https://other.example"),
        ("http://[::1", "to an invalid URL"),
        ("http://h:port/SECRET", "to an invalid URL"),
        ("", "without a location"),
        ("https://teacher.example/v1?key=SECRET", "to itself"),
    ],
)
def test_where_a_redirect_leads_without_secrets(location: str, words: str) -> None:
    said = redirect_words(location, "https://teacher.example/v1?key=SECRET")
    assert said.endswith(words)
    assert "SECRET" not in said


def test_an_address_without_its_query() -> None:
    assert without_query("https://me:SECRET@h:8/a/b?sig=SECRET#SECRET") == "https://h:8/a/b"
