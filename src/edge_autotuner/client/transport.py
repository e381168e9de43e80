"""A transport that bounds whole requests in time, and uploads by a budget.

The HTTP library bounds only single reads: a server that sends one byte a minute would keep it busy for days.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import httpcore2
import httpx2

from edge_autotuner.client.budget import UploadBudget
from edge_autotuner.core.clock import Clock, Deadline

PATIENCE = "patience"
"""Key of a request's extensions: its `Patience`."""

_KEEP_ALIVE_S = 60.0
_SHORTEST_S = 1e-3  # a timeout of zero would mean: do not wait at all


@dataclass
class Patience:
    """The time that is left for a request."""

    limit_s: float
    deadline: Deadline
    clock: Clock

    def __post_init__(self) -> None:
        self._ends_s = self.clock.monotonic_s() + self.limit_s

    @property
    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, min(self._ends_s - self.clock.monotonic_s(), self.deadline.remaining_s))

    def extend(self, seconds: float) -> None:
        """Extend the time limit by a wait for the upload budget; the job's deadline stays."""
        self._ends_s += seconds

    def bounded(self, timeout_s: float | None) -> float:
        """Return a timeout cut to the time that is left; raises `httpcore2.TimeoutException` if that is none."""
        if self.remaining_s <= 0:
            raise httpcore2.TimeoutException("the request took too long as a whole")
        return max(_SHORTEST_S, min(self.remaining_s, timeout_s if timeout_s is not None else float("inf")))


class PatientTransport(httpx2.BaseTransport):
    """A pool of connections that are kept alive; may be used by several threads.

    Args:
        budget: what uploads share; None: no limit.
    """

    def __init__(self, ssl_context: ssl.SSLContext, budget: UploadBudget | None, *, max_connections: int = 8) -> None:
        self._of_thread = threading.local()
        self._budget = budget
        self._streams: WeakSet[_Stream] = WeakSet()
        self._is_closed = False
        self._pool = httpcore2.ConnectionPool(
            ssl_context=ssl_context,
            max_connections=max_connections,
            keepalive_expiry=_KEEP_ALIVE_S,
            network_backend=_Backend(self._patience, self._wrapped),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return the reply, whose body is streamed."""
        self._of_thread.patience = request.extensions[PATIENCE]
        url = request.url
        outgoing = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions={"timeout": request.extensions["timeout"]},
        )
        with _translated():
            reply = self._pool.handle_request(outgoing)
        return httpx2.Response(reply.status, headers=reply.headers, stream=_Body(reply), extensions=reply.extensions)

    def close(self) -> None:
        """Close all connections, also those that other threads use."""
        self._is_closed = True
        for stream in list(self._streams):
            stream.wake()
        self._pool.close()

    def _patience(self) -> Patience:
        patience: Patience = self._of_thread.patience
        return patience

    def _wrapped(self, stream: httpcore2.NetworkStream) -> _Stream:
        wrapped = _Stream(stream, self._patience, self._budget, self._wrapped)
        self._streams.add(wrapped)
        if self._is_closed:  # meanwhile by another thread, which cannot have seen this stream
            wrapped.wake()
        return wrapped


class _Body(httpx2.SyncByteStream):
    """The body of a reply as it arrives."""

    def __init__(self, reply: httpcore2.Response) -> None:
        self._reply = reply

    def __iter__(self) -> Iterator[bytes]:
        with _translated():
            yield from self._reply.iter_stream()

    def close(self) -> None:
        with _translated():
            self._reply.close()


@contextmanager
def _translated() -> Iterator[None]:
    """Turn errors of httpcore2 into those of httpx2, as its own transport does."""
    try:
        yield
    except httpcore2.ConnectTimeout as exc:
        raise httpx2.ConnectTimeout(str(exc)) from exc
    except httpcore2.PoolTimeout as exc:
        raise httpx2.ConnectTimeout("all connections are in use") from exc
    except httpcore2.ConnectError as exc:
        raise httpx2.ConnectError(str(exc)) from exc
    except httpcore2.TimeoutException as exc:
        raise httpx2.TimeoutException(str(exc) or type(exc).__name__) from exc
    except httpcore2.NetworkError as exc:
        raise httpx2.NetworkError(str(exc) or type(exc).__name__) from exc
    except httpcore2.RemoteProtocolError as exc:
        raise httpx2.RemoteProtocolError(str(exc)) from exc
    except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol) as exc:
        raise httpx2.ProtocolError(str(exc)) from exc


class _Stream(httpcore2.NetworkStream):
    """A socket whose reads and writes are bounded.

    Args:
        patience: returns that of the calling thread's request.
        budget: what uploads share; None: no limit.
        wrap: wraps another stream in the same way.
    """

    def __init__(
        self,
        stream: httpcore2.NetworkStream,
        patience: Callable[[], Patience],
        budget: UploadBudget | None,
        wrap: Callable[[httpcore2.NetworkStream], _Stream],
    ) -> None:
        self._stream = stream
        self._patience = patience
        self._budget = budget
        self._wrap = wrap

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._patience().bounded(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        patience, budget = self._patience(), self._budget
        if budget is None:
            self._stream.write(buffer, patience.bounded(timeout))
            return
        for start in range(0, len(buffer), budget.burst_bytes):
            piece = buffer[start : start + budget.burst_bytes]
            patience.extend(_pay(budget, len(piece), patience.deadline))
            self._stream.write(piece, patience.bounded(timeout))

    def close(self) -> None:
        self._stream.close()

    def wake(self) -> None:
        """Interrupt other threads that use the socket, which closing it does not."""
        with suppress(OSError):
            self._stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return self._wrap(self._stream.start_tls(ssl_context, server_hostname, self._patience().bounded(timeout)))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 (signature of the library)
        return self._stream.get_extra_info(info)


def _pay(budget: UploadBudget, n_bytes: int, deadline: Deadline) -> float:
    try:
        return budget.take(n_bytes, longest_s=deadline.remaining_s)
    except TimeoutError as exc:
        raise httpcore2.WriteTimeout(str(exc)) from exc


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, patience: Callable[[], Patience], wrap: Callable[[httpcore2.NetworkStream], _Stream]) -> None:
        self._sockets = httpcore2.SyncBackend()
        self._patience = patience
        self._wrap = wrap

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        limit_s = self._patience().bounded(timeout)
        return self._wrap(self._sockets.connect_tcp(host, port, limit_s, local_address, socket_options))
