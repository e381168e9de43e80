"""Limits bodies of requests while they arrive, in bytes and time, whatever their headers say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.server.problems import CLOSE, Problem

_BUSY_RETRY_S = "2"


class BodyLimit:
    """Middleware that refuses bodies that are too large or too slow, or too many at the same time.

    Args:
        max_total_bytes: of all bodies of unanswered requests.
        max_pause_s: longest time between two pieces of a body.
        max_body_s: time limit of a whole body.
        is_streamed: whether a request's body is streamed to the disk, which has its own limit.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        max_total_bytes: int,
        max_pause_s: float,
        max_body_s: float,
        is_streamed: Callable[[Scope], bool],
        clock: Clock | None = None,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_total_bytes = max_total_bytes
        self._max_pause_s = max_pause_s
        self._max_body_s = max_body_s
        self._clock = clock or SystemClock()
        self._is_streamed = is_streamed
        self._n_held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_held = not self._is_streamed(scope)
        if is_held and _declared_bytes(scope) > self._max_bytes:
            await self.too_large().response()(scope, receive, send)
            return
        body = _CountedBody(self, receive, send, is_held=is_held)
        try:
            await self._app(scope, body.receive, body.send)
        finally:
            self._n_held -= body.n_held
        if body.problem is not None and not body.has_answered:
            await body.problem.response()(scope, receive, send)

    def ends_at_s(self) -> float:
        """Return the deadline of a body that begins now, monotonic seconds."""
        return self._clock.monotonic_s() + self._max_body_s

    async def wait_for(self, receive: Receive, ends_at_s: float) -> Message:
        """Return the next piece of a body; raises `TimeoutError` at its deadline."""
        left_s = ends_at_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise TimeoutError  # even if the next piece has arrived
        async with asyncio.timeout(min(self._max_pause_s, left_s)):
            return await receive()

    def hold(self, n_bytes: int) -> Problem | None:
        """Count more bytes in memory; return why they are too many."""
        self._n_held += n_bytes
        if self._n_held <= self._max_total_bytes:
            return None
        headers = {**CLOSE, "Retry-After": _BUSY_RETRY_S}
        return Problem(429, "too-many-bodies", "too many uploads in progress; try again", headers=headers)

    def check(self, n_bytes: int) -> Problem | None:
        """Return the error for a body of this many bytes."""
        return self.too_large() if n_bytes > self._max_bytes else None

    def too_large(self) -> Problem:
        """Return the refusal of a body that is too large."""
        text = f"a request body may have at most {self._max_bytes} bytes"
        return Problem(413, "body-too-large", text, headers=CLOSE)


class _CountedBody:
    """The body of a request. Once it is refused, the refusal replaces the application's answer."""

    def __init__(self, limit: BodyLimit, receive: Receive, send: Send, *, is_held: bool) -> None:
        self._limit = limit
        self._is_held = is_held
        self._ends_at_s = limit.ends_at_s()
        self._receive = receive
        self._send = send
        self.n_held = 0
        self.problem: Problem | None = None
        self.has_answered = False
        self._is_whole = False

    async def receive(self) -> Message:
        if self.problem is not None:
            raise self.problem
        if self._is_whole:
            return await self._receive()  # only the disconnect can follow
        try:
            message = await self._limit.wait_for(self._receive, self._ends_at_s)
        except TimeoutError:
            self.problem = Problem(408, "body-too-slow", "timed out waiting for the request body", headers=CLOSE)
            raise self.problem from None
        self._is_whole = not message.get("more_body", False)
        if self._is_held:
            self._hold(len(message.get("body", b"")))
        return message

    def _hold(self, n_bytes: int) -> None:
        self.n_held += n_bytes
        self.problem = self._limit.hold(n_bytes) or self._limit.check(self.n_held)
        if self.problem is not None:
            raise self.problem

    async def send(self, message: Message) -> None:
        if self.problem is not None and not self.has_answered:
            return  # the framework's own answer to the error of `receive`
        self.has_answered = True
        await self._send(message)


def _declared_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0
