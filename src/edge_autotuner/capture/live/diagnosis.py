"""Finds out why FFmpeg could not open an address where its own error code, "input/output error", says nothing."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from contextlib import closing
from urllib.parse import unquote, urlsplit

from edge_autotuner.capture.live.address import LiveAddress
from edge_autotuner.core.link_failures import connection_failure, redirect_words

_LIMIT_S = 3.0


def diagnose(address: LiveAddress, *, limit_s: float = _LIMIT_S) -> str | None:
    """Return what is wrong with an address of the network, without its path, query and login; None: nothing is found.

    Args:
        address: that FFmpeg could not open.
        limit_s: longest wait of each step.
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
