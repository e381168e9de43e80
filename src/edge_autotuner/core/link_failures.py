"""Explains why a connection failed, by the chain of exceptions behind the one that was caught.

Libraries wrap each other's exceptions, and their outermost text is often too general. The words here hold nothing of an
address but its scheme, host and port: the rest may be a secret.
"""

from __future__ import annotations

import errno
import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from edge_autotuner.core.printable import one_line

_MAX_FOREIGN = 120
_UNREACHABLE = {errno.EHOSTUNREACH: "the host is unreachable", errno.ENETUNREACH: "the network is unreachable"}

_SILENCE = re.compile(r"timed out|^$")
_TOO_LARGE_HEAD = "the response headers are too large"
_NO_HTTP = "the response is not valid HTTP"
_FOREIGN_WORDS: tuple[tuple[str, str], ...] = (
    (r"receive buffer too long|more than \d+ headers|LineTooLong", _TOO_LARGE_HEAD),
    (r"without sending a response|without response", "connection closed without a response"),
    (r"without sending complete|incompleteread|peer closed connection", "the response is incomplete"),
    (r"illegal|without a pending proposal|badstatusline|can't handle|too many .* bytes", _NO_HTTP),
    (r"pool|connections are in use", "all connections are in use"),
)
"""Parts of texts of libraries whose exceptions are one class for many causes, and what they mean."""


def connection_failure(error: BaseException) -> str:
    """Return why a connection failed, on one line: the most exact cause in the chain of exceptions."""
    causes = list(_causes(error))
    for cause in reversed(causes):
        words = _of_kind(cause)
        if words is not None:
            return words
    for cause in causes:
        text = f"{type(cause).__name__} {cause}"
        for pattern, words in _FOREIGN_WORDS:
            if re.search(pattern, text, re.IGNORECASE):
                return words
    return one_line(str(error), _MAX_FOREIGN) or type(error).__name__


def is_foreign_protocol(words: str) -> bool:
    """Whether something other than a web server answered, by `connection_failure`."""
    return words in {_TOO_LARGE_HEAD, _NO_HTTP}


def certificate_failure(error: BaseException) -> str | None:
    """Return why a certificate was not accepted; None where another cause is behind an error."""
    refused = [cause for cause in _causes(error) if isinstance(cause, ssl.SSLCertVerificationError)]
    return one_line(refused[0].verify_message, _MAX_FOREIGN) if refused else None


def redirect_words(location: str | None, asked: str) -> str:
    """Return where an answer redirects to, without path, query and login.

    >>> redirect_words("https://me:pw@other.example/x?key=1", "https://teacher.example/v1")
    'it redirects to https://other.example'
    >>> redirect_words("/v1", "https://teacher.example/v1"), redirect_words(None, "https://teacher.example/")
    ('it redirects to itself', 'it redirects without a location')
    """
    if not location:
        return "it redirects without a location"
    try:
        target = urljoin(asked, location)
        there = origin_of(target)
    except ValueError:
        return "it redirects to an invalid URL"
    if target == asked:
        return "it redirects to itself"
    return "it redirects to another path of the same host" if there == origin_of(asked) else f"it redirects to {there}"


def without_query(address: str) -> str:
    """Return an address that may be shown: without login, query and fragment, which may be secrets.

    >>> without_query("https://me:pw@host.example/file.bin?signature=1")
    'https://host.example/file.bin'
    """
    parts = urlsplit(address)
    return one_line(f"{origin_of(address)}{parts.path}")


def origin_of(address: str) -> str:
    """Return scheme, host and port of an address."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return one_line(f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port is not None else ""))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those behind it; `reason` is how urllib wraps one."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        reason = getattr(error, "reason", None)
        error = error.__cause__ or error.__context__ or (reason if isinstance(reason, BaseException) else None)


def _of_kind(error: BaseException) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {one_line(error.verify_message, _MAX_FOREIGN)}"
    if isinstance(error, ssl.SSLError) and not isinstance(error, TimeoutError):
        reason = one_line((error.reason or "no reason given").replace("_", " ").lower(), _MAX_FOREIGN)
        return f"TLS failed ({reason}); the port may use plain HTTP or another TLS version"
    if isinstance(error, socket.gaierror):
        return "cannot resolve the host name; check the address and this machine's DNS"
    if isinstance(error, http.client.RemoteDisconnected):
        return "connection closed without a response"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: the program is not running, or the port is wrong"
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return "connection reset"
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return _UNREACHABLE[error.errno]
    if isinstance(error, TimeoutError) and "handshake" in str(error):
        return "TLS handshake timed out; the port may use plain HTTP"
    if isinstance(error, TimeoutError) and _SILENCE.search(str(error)):  # our own say more
        return "timed out"
    return None
