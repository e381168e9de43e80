"""Says in plain words why a connection failed, from the exceptions behind the one that was caught.

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
_UNREACHABLE = {errno.EHOSTUNREACH: "the host cannot be reached", errno.ENETUNREACH: "there is no network to it"}

_SILENCE = re.compile(r"timed out|^$")
_TOO_LARGE_HEAD = "the head of the answer is too large"
_NO_HTTP = "the answer is not HTTP as it should be"
_FOREIGN_WORDS: tuple[tuple[str, str], ...] = (
    (r"receive buffer too long|more than \d+ headers|LineTooLong", _TOO_LARGE_HEAD),
    (r"without sending a response|without response", "the other side hung up without an answer"),
    (r"without sending complete|incompleteread|peer closed connection", "the answer ends before it is complete"),
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
    """Whether `connection_failure` says that somebody answered, but not as a web server does."""
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
    ('it redirects to itself', 'it redirects without saying where to')
    """
    if not location:
        return "it redirects without saying where to"
    try:
        target = urljoin(asked, location)
        there = _origin(target)
    except ValueError:
        return "it redirects to something that is not an address"
    if target == asked:
        return "it redirects to itself"
    return "it redirects to another path of the same host" if there == _origin(asked) else f"it redirects to {there}"


def without_query(address: str) -> str:
    """Return an address that may be shown: without login, query and fragment, which may be secrets.

    >>> without_query("https://me:pw@host.example/file.bin?signature=1")
    'https://host.example/file.bin'
    """
    parts = urlsplit(address)
    return one_line(f"{_origin(address)}{parts.path}")


def _origin(address: str) -> str:
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
        return f"its certificate is not accepted: {one_line(error.verify_message, _MAX_FOREIGN)}"
    if isinstance(error, ssl.SSLError) and not isinstance(error, TimeoutError):
        reason = one_line((error.reason or "no reason given").replace("_", " ").lower(), _MAX_FOREIGN)
        return f"TLS failed ({reason}); perhaps the port speaks plain http, or other versions of TLS"
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved; check the address, and the DNS of this machine"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the other side hung up without an answer"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: the program is not running, or the port is another one"
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return "the other side reset the connection"
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return _UNREACHABLE[error.errno]
    if isinstance(error, TimeoutError) and "handshake" in str(error):
        return "no TLS handshake in time; perhaps the port speaks plain http"
    if isinstance(error, TimeoutError) and _SILENCE.search(str(error)):  # our own say more
        return "nothing came in time"
    return None
