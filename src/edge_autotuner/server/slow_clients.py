"""Closes connections that only take up room: no request comes, its headers do not end, its answer is not read.

uvicorn 0.54 limits only the time between two requests, and has no limit on the time or, with httptools, the size of
headers; the time limit of hypercorn's reads starts again with each byte. So this is our own, out of methods of
`asyncio.Protocol` and callbacks of httptools' parser. Slow bodies are for `limits`. What is no HTTP at all is answered
in the same form as other refusals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from edge_autotuner.server.problems import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    _Protocol = asyncio.Protocol
else:
    _Protocol = AutoHTTPProtocol

MAX_HEAD_BYTES = 64 << 10
"""Of headers that do not end within the piece in which they began; sockets give pieces of some hundred KB at most."""

_HEAD_PIECE_BYTES = 4096

MAX_HEADERS = 100
MAX_TARGET_BYTES = 8 << 10
"""Longest path and query."""

_TOO_SLOW = Problem(408, "head-too-slow", "timed out waiting for the request headers")
_TOO_LARGE = Problem(431, "head-too-large", f"request headers may have at most {MAX_HEAD_BYTES} bytes")


_CONNECTION: ContextVar[_LimitedProtocol] = ContextVar("connection")
"""Where a request came from: asyncio gives it to the task that answers the request."""


def patient_protocol(*, max_head_s: float, max_unread_s: float) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol with limits; the application must be one of `noted`.

    Args:
        max_head_s: longest time from a connection, or from the first byte after an answer, to the end of the headers
            of a request. The rest of an answered request's body must arrive within the same limit.
        max_unread_s: longest time in which a client takes nothing of its answer.
    """
    return type("PatientProtocol", (_LimitedProtocol,), {"max_head_s": max_head_s, "max_unread_s": max_unread_s})


def noted(app: ASGIApp) -> ASGIApp:
    """Wrap an application to tell its connection when a request is answered; its headers are complete then."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        connection = _CONNECTION.get(None)
        if connection is None:  # not a request, or another protocol
            return await app(scope, receive, send)

        async def begin(message: Message) -> None:
            connection.has_begun_answer = True
            await send(message)

        with connection.answering():
            return await app(scope, receive, begin)

    return run


class _LimitedProtocol(_Protocol):
    """uvicorn's protocol for httptools, or for h11, which limits the size of headers itself."""

    max_head_s: float
    max_unread_s: float
    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None
    has_begun_answer = False
    _n_answering = 0
    _has_bytes = _has_answered = False
    _is_in_head = False
    _n_head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link = cast("asyncio.Transport", transport)
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        if self._n_answering == 0:
            self._has_bytes = True
            self._wait_for_head()
        token = _CONNECTION.set(self)
        try:
            self._feed(memoryview(data))
        finally:
            _CONNECTION.reset(token)

    def _feed(self, data: memoryview) -> None:
        while self._is_in_head and data:  # in pieces: what follows the headers in `data` is not theirs
            piece, data = data[:_HEAD_PIECE_BYTES], data[_HEAD_PIECE_BYTES:]
            super().data_received(bytes(piece))
            if self._link.is_closing() or (self._is_in_head and self._is_head_too_large(len(piece))):
                return
        if data:
            super().data_received(bytes(data))

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Let no limit for headers run while a request is answered."""
        self._n_answering += 1
        self._has_bytes, self._has_answered = False, True
        self._stop_head_timer()
        try:
            yield
        finally:
            self._n_answering -= 1
            self.has_begun_answer = False

    def on_message_begin(self) -> None:
        self._is_in_head, self._n_head_bytes = True, 0
        super().on_message_begin()  # type: ignore[misc]

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()  # type: ignore[misc]

    def _is_head_too_large(self, n_bytes: int) -> bool:
        """Count another piece of headers that do not end in it; end what is too large."""
        self._n_head_bytes += n_bytes
        if self._n_head_bytes <= MAX_HEAD_BYTES:
            return False
        if not self._link.is_closing():
            self._link.write(_answer(_TOO_LARGE))
            self._link.close()
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        self._stop_unread_timer()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as everything else that is refused, unless an answer is on its way."""
        if not self.has_begun_answer:
            self._link.write(_answer(Problem(400, "no-http", msg)))
        self._link.close()

    def _wait_for_head(self) -> None:
        if self._head_timer is None and not self._link.is_closing():
            self._head_timer = asyncio.get_running_loop().call_later(self.max_head_s, self._give_up)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _wait_for_reader(self) -> None:
        """End the connection if it takes nothing: closing alone waits until all is taken."""
        self._stop_unread_timer()
        self._unread_timer = asyncio.get_running_loop().call_later(self.max_unread_s, self._link.abort)

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _give_up(self) -> None:
        if self._has_bytes and not self._has_answered and not self._link.is_closing():
            self._link.write(_answer(_TOO_SLOW))
        self._link.close()
        self._wait_for_reader()


def _answer(problem: Problem) -> bytes:
    content = problem.reply().model_dump_json().encode()
    head = f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\nContent-Type: {MEDIA_TYPE}\r\n"
    return f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode("ascii") + content
