"""A proxy for HTTP on the loopback interface that misbehaves by a seeded plan: a bad link, made repeatable."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self

Fault = Literal["pass", "drop request", "drop reply", "delay", "truncate", "reset", "duplicate", "cut request"]

EVERY_FAULT: Mapping[Fault, float] = {
    "pass": 4,
    "drop request": 1,  # it never arrives, and the connection is closed
    "drop reply": 1,  # it is carried out, but nobody hears of it
    "delay": 1,
    "truncate": 1,  # half of the reply's body arrives
    "reset": 1,  # the same, and the connection ends with RST
    "duplicate": 1,  # it is carried out twice
    "cut request": 1,  # half of its body arrives
}
_UPSTREAM_TIMEOUT_S = 60.0


class FaultyProxy:
    """Forwards requests to `127.0.0.1:upstream_port`; closed at the end of the `with` block.

    Args:
        upstream_port: where the real server listens; it may come and go.
        seed: of the plan.
        weights: how often each fault comes, relative to the others.
        delay_s: of a delayed reply.

    Attributes:
        happened: how often each fault came.
        on_fault: told of each request before anything happens to it.
    """

    def __init__(
        self, upstream_port: int, *, seed: int, weights: Mapping[Fault, float] = EVERY_FAULT, delay_s: float = 0.05
    ) -> None:
        self.upstream_port = upstream_port
        self.delay_s = delay_s
        self.happened: Counter[Fault] = Counter()
        self._rng = random.Random(seed)
        self._weights = dict(weights)
        self._lock = threading.Lock()
        self._is_cut = threading.Event()
        self.on_fault: Callable[[Fault], None] = lambda _: None
        self.closed = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def cut(self) -> None:
        """Answer nothing until `mend`."""
        self._is_cut.set()

    def mend(self) -> None:
        """Undo `cut`."""
        self._is_cut.clear()

    def next_fault(self) -> Fault:
        """Return what happens to the next request."""
        with self._lock:
            fault = self._rng.choices(list(self._weights), list(self._weights.values()))[0]
            if self._is_cut.is_set():
                fault = "drop request"
            self.happened[fault] += 1
        self.on_fault(fault)
        return fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: FaultyProxy

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about connections that the client, or the plan, has ended."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = _UPSTREAM_TIMEOUT_S

    def _forward(self) -> None:
        proxy = self.server.proxy
        fault = proxy.next_fault()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if fault == "drop request":
            self._hang_up()
            return
        if fault == "cut request":
            self._send_half_upstream(body)
            self._hang_up()
            return
        try:
            reply = [self._ask_upstream(body) for _ in range(2 if fault == "duplicate" else 1)][-1]
        except (OSError, http.client.HTTPException):
            self._hang_up()
            return
        if fault == "delay":
            proxy.closed.wait(proxy.delay_s)
        if fault == "drop reply":
            self._hang_up()
            return
        self._answer(*reply, is_whole=fault not in {"truncate", "reset"})
        if fault in {"truncate", "reset"}:
            self._hang_up(reset=fault == "reset")

    do_GET = do_POST = do_PUT = do_DELETE = _forward

    def _ask_upstream(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.proxy.upstream_port, _UPSTREAM_TIMEOUT_S)
        try:
            upstream.request(self.command, self.path, body, self._headers_for_upstream())
            reply = upstream.getresponse()
            return reply.status, reply.getheaders(), reply.read()
        finally:
            upstream.close()

    def _send_half_upstream(self, body: bytes) -> None:
        head = f"{self.command} {self.path} HTTP/1.1\r\n"
        headers = self._headers_for_upstream() | {"Content-Length": str(len(body))}
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        try:
            with socket.create_connection(("127.0.0.1", self.server.proxy.upstream_port), _UPSTREAM_TIMEOUT_S) as link:
                link.sendall(f"{head}\r\n".encode("latin-1") + body[: len(body) // 2])
        except OSError:
            return  # the server is gone as well

    def _headers_for_upstream(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name.lower() not in {"connection", "host"}} | {
            "Host": f"127.0.0.1:{self.server.proxy.upstream_port}"
        }

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, *, is_whole: bool) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if is_whole else body[: len(body) // 2])

    def _hang_up(self, *, reset: bool = False) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""
