"""For every request: security headers, a line in the log, metrics, and no traceback for the client."""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.errors import StorageError
from edge_autotuner.server.metrics import Metrics
from edge_autotuner.server.problems import CLOSE, GONE, Problem
from edge_autotuner.server.slow_clients import MAX_HEADERS, MAX_TARGET_BYTES
from edge_autotuner.wire.messages import API_PREFIX

logger = logging.getLogger(__name__)
access_logger = logging.getLogger("edge_autotuner.access")

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TLS_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

_UNKNOWN = "-"
_STORAGE_RETRY_S = "60"
_STOPPING_RETRY_S = "10"


class Observing:
    """Outermost middleware."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, clock: Clock | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock or SystemClock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and record its outcome."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send, _HEADERS if scope["scheme"] == "http" else {**_HEADERS, **_TLS_HEADERS})
        started_s = self._clock.monotonic_s()
        try:
            problem = _oversized(scope)
            if problem is not None:
                await problem.response()(scope, exchange.receive, exchange.send)
                return
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:  # the service is being stopped, and its grace period is over
            if exchange.status is None:
                await _stopping().response()(scope, exchange.receive, exchange.send)
            raise
        except Exception as exc:  # the edge of the process: the client gets an answer, the log the rest
            problem = _unexpected(exc, _route(scope))
            exchange.has_failed = True
            if exchange.status is None:
                await problem.response()(scope, exchange.receive, exchange.send)
        finally:
            self._note(scope, exchange, self._clock.monotonic_s() - started_s)

    def _note(self, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else _UNKNOWN
        route, client, status = _route(scope), _client(scope), str(exchange.outcome)
        self._metrics.requests.labels(method, route, status, client).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        self._metrics.received_bytes.labels(route).inc(exchange.n_received)
        self._metrics.sent_bytes.labels(route).inc(exchange.n_sent)
        access_logger.info(
            "client=%s method=%s route=%s status=%s ms=%.1f received=%d sent=%d",
            client,
            method,
            route,
            status,
            seconds * 1000,
            exchange.n_received,
            exchange.n_sent,
        )


class _Exchange:
    """Counts bytes, and adds headers."""

    def __init__(self, receive: Receive, send: Send, headers: dict[str, str]) -> None:
        self._receive = receive
        self._send = send
        self._headers = headers
        self.status: int | None = None
        self.has_failed = False
        self._is_complete = False
        self.n_received = 0
        self.n_sent = 0

    @property
    def outcome(self) -> int:
        """Status for log and metrics: `GONE` if the client did not wait for the answer."""
        if self._is_complete and self.status is not None:
            return self.status
        return 500 if self.has_failed else GONE

    async def receive(self) -> Message:
        message = await self._receive()
        self.n_received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        self.n_sent += len(message.get("body", b""))
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_complete = True


def _oversized(scope: Scope) -> Problem | None:
    """Refuse oversized headers before anything else reads them, which takes time for each of them."""
    if len(scope["headers"]) > MAX_HEADERS:
        return Problem(431, "head-too-large", f"a request may have at most {MAX_HEADERS} headers", headers=CLOSE)
    if len(scope.get("raw_path", b"")) + len(scope.get("query_string", b"")) > MAX_TARGET_BYTES:
        text = f"a request's path and query may have at most {MAX_TARGET_BYTES} bytes"
        return Problem(414, "address-too-long", text, headers=CLOSE)
    return None


def _stopping() -> Problem:
    return Problem(503, "stopping", "the service is shutting down", headers={"Retry-After": _STOPPING_RETRY_S})


def _unexpected(exc: Exception, route: str) -> Problem:
    reference = uuid.uuid4().hex[:12]
    if isinstance(exc, StorageError):
        logger.error("%s (%s): %s", route, reference, exc)
        text = f"the service cannot use its disk or database now; see its log: {reference}"
        return Problem(503, "storage", text, headers={"Retry-After": _STORAGE_RETRY_S})
    logger.error("%s failed (%s)", route, reference, exc_info=exc)
    return Problem(500, "unexpected", f"internal error; see the service's log: {reference}")


def _route(scope: Scope) -> str:
    """Return the template of the route, never the address itself, which may hold anything."""
    template = getattr(scope.get("route"), "path", None)
    if template is None:
        return _UNKNOWN
    # From FastAPI 0.13x on, routes of an included router lack the prefix of their inclusion.
    is_below = scope["path"].startswith(f"{API_PREFIX}/") and not template.startswith(f"{API_PREFIX}/")
    return f"{API_PREFIX}{template}" if is_below else str(template)


def _client(scope: Scope) -> str:
    state: dict[str, Any] = scope.get("state", {})
    return str(state.get("client", _UNKNOWN))
