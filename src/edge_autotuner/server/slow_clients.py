"""Connections that only take up room are closed: no request comes, its headers do not end, its answer is not taken.

uvicorn limits only the time between two requests, and nothing of the size of their headers. Bodies that come slowly are
for `limits`. What is no HTTP at all is answered in the same form as other refusals.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

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

_TOO_SLOW = Problem(408, "head-too-slow", "the headers of the request did not come")
_TOO_LARGE = Problem(431, "head-too-large", f"the headers of a request may have {MAX_HEAD_BYTES} bytes at most")


def patient_protocol(*, max_head_s: float, max_unread_s: float) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol with limits.

    Args:
        max_head_s: longest time from a connection, or from the first byte after an answer, to the end of the headers
            of a request. What is left of the body of an answered request must have come by then as well.
        max_unread_s: longest time in which a client takes nothing of its answer.
    """
    return type("PatientProtocol", (_LimitedProtocol,), {"max_head_s": max_head_s, "max_unread_s": max_unread_s})


class _LimitedProtocol(_Protocol):
    """Either of uvicorn's protocols: what is used of them is the same in both."""

    max_head_s: float
    max_unread_s: float
    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None
    _has_bytes = False
    _is_in_head = False
    _n_head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link = cast("asyncio.Transport", transport)
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        rest = memoryview(data)
        while self._is_in_head and rest:  # in pieces: what follows the headers in `data` is not theirs
            piece, rest = rest[:_HEAD_PIECE_BYTES], rest[_HEAD_PIECE_BYTES:]
            super().data_received(bytes(piece))
            if self._link.is_closing() or (self._is_in_head and self._is_head_too_large(len(piece))):
                return
        if rest:
            super().data_received(bytes(rest))
        if self._is_answering():
            self._stop_head_timer()
        else:
            self._has_bytes = True
            self._wait_for_head()

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

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()  # type: ignore[misc]
        self._wait_for_reader()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as everything else that is refused."""
        cycle: Any = self.cycle  # type: ignore[attr-defined]
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self._link.write(_answer(Problem(400, "no-http", msg)))
        self._link.close()

    def _is_answering(self) -> bool:
        """Whether a request's headers have come, and its answer is not complete."""
        cycle: Any = self.cycle  # type: ignore[attr-defined]
        return cycle is not None and not cycle.response_complete

    def _wait_for_head(self) -> None:
        if self._head_timer is None and not self._link.is_closing():
            self._head_timer = asyncio.get_running_loop().call_later(self.max_head_s, self._give_up)

    def _stop_head_timer(self) -> None:
        self._has_bytes = False
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
        is_first = self.cycle is None  # type: ignore[attr-defined]
        if self._has_bytes and is_first and not self._link.is_closing():
            self._link.write(_answer(_TOO_SLOW))
        self._link.close()
        self._wait_for_reader()


def _answer(problem: Problem) -> bytes:
    content = problem.reply().model_dump_json().encode()
    head = f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\nContent-Type: {MEDIA_TYPE}\r\n"
    return f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode("ascii") + content
