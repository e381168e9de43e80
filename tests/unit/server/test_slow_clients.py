"""Over real sockets: who does not send or take anything loses the connection, who is only slow does not."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from edge_autotuner.server.slow_clients import noted, patient_protocol
from edge_autotuner.wire.messages import ProblemReply
from support.service.served_app import served
from support.service.service_samples import WAIT_S

SHORT_S = 0.05
PATIENT_S = 0.5  # long enough for a request on a busy machine
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
N_LARGE = 24 << 20  # more than the buffers of two sockets hold


class App:
    """Answers with a few bytes, or with many under /large; says what became of the latter."""

    def __init__(self) -> None:
        self.has_ended = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content = b"hello"
        if scope["path"] == "/slow":
            await asyncio.sleep(1.5 * PATIENT_S)  # the model works for longer than headers may take
        await send({"type": "http.response.start", "status": 200, "headers": self._headers(scope["path"])})
        if scope["path"] == "/large":
            for _ in range(N_LARGE // (1 << 20)):
                await send({"type": "http.response.body", "body": b"x" * (1 << 20), "more_body": True})
        await send({"type": "http.response.body", "body": content, "more_body": False})
        self.has_ended.set()

    def _headers(self, path: str) -> list[tuple[bytes, bytes]]:
        return [] if path == "/large" else [(b"content-length", b"5")]


@contextmanager
def connected(app: App, *, max_head_s: float = WAIT_S, max_unread_s: float = WAIT_S) -> Iterator[socket.socket]:
    """Serve an app, and give a connection to it."""
    protocol = patient_protocol(max_head_s=max_head_s, max_unread_s=max_unread_s)
    config = uvicorn.Config(noted(app), http=protocol, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    with served(config) as address, socket.create_connection(address, timeout=WAIT_S) as connection:
        yield connection


@pytest.mark.parametrize("piece", [b"x" * 65536, b"X: y\r\n" * 10_000], ids=["one header", "headers"])
def test_headers_without_end_are_refused_while_they_come(piece: bytes) -> None:
    app = App()
    with connected(app) as connection:
        try:
            connection.sendall(HEAD + b"X: ")
            for _ in range(100):
                connection.sendall(piece)
        except ConnectionError:
            pass  # the service has closed it already
        received = until_closed(connection)
    assert received[:12] in (b"HTTP/1.1 431", b"")  # a reset may overtake the answer
    assert not app.has_ended.is_set()


def test_a_large_body_is_no_head() -> None:
    with connected(App()) as connection:
        for _ in range(3):
            body = b"x" * (1 << 20)
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
            connection.sendall(body)
            received = b""
            while not received.endswith(b"hello"):
                received += connection.recv(1 << 16)
            assert received.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("cut", [1, 16, 40, -1])
def test_headers_that_come_in_two_pieces_are_not_counted_with_the_body_behind_them(cut: int) -> None:
    """Networks cut where they like; the rest of the headers then comes with hundreds of KB of the body."""
    body = b"x" * (1 << 20)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with connected(App()) as connection:
        for _ in range(2):
            connection.sendall(head[:cut])
            threading.Event().wait(SHORT_S)
            connection.sendall(head[cut:] + body)
            assert answer(connection).startswith(b"HTTP/1.1 200")


def test_small_requests_behind_each_other_are_no_head() -> None:
    request = HEAD + b"\r\n"
    n = 3 * (64 << 10) // len(request)
    with connected(App()) as connection:
        connection.sendall(request[:5])
        threading.Event().wait(SHORT_S)
        connection.sendall(request[5:] + request * n)
        received = b""
        while received.count(b"hello") <= n:
            received += connection.recv(1 << 20)
        assert received.count(b"HTTP/1.1 200") == n + 1


def until_closed(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    received = bytearray()
    try:
        while piece := connection.recv(1 << 20):
            received += piece
    except ConnectionResetError:
        pass
    return bytes(received)


def answer(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"hello"):
        piece = connection.recv(1 << 16)
        assert piece, received
        received += piece
    return received


def test_a_connection_without_a_request_is_closed() -> None:
    with connected(App(), max_head_s=SHORT_S) as connection:
        assert until_closed(connection) == b""


def test_headers_that_do_not_end_are_answered_with_408() -> None:
    with connected(App(), max_head_s=SHORT_S) as connection:
        connection.sendall(HEAD)
        received = until_closed(connection)
        assert received.startswith(b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/problem+json\r\n")
        assert b'"type":"head-too-slow"' in received


def test_headers_that_drip_do_not_last_longer() -> None:
    """Each byte comes soon after the last one; the connection ends all the same."""
    with connected(App(), max_head_s=4 * SHORT_S) as connection:
        connection.sendall(HEAD)
        connection.settimeout(SHORT_S)
        for _ in range(1000):
            try:
                connection.sendall(b"a")
                if not connection.recv(1 << 16):
                    break
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
        else:
            pytest.fail("the connection was never closed")


def test_the_next_request_has_as_long_as_the_first() -> None:
    with connected(App(), max_head_s=SHORT_S) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert answer(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(HEAD)
        assert until_closed(connection) == b"", "in the middle of a conversation there is no answer"


def test_what_is_left_of_a_body_nobody_wants_does_not_keep_the_connection() -> None:
    with connected(App(), max_head_s=SHORT_S) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        assert answer(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(b"drop")
        assert until_closed(connection) == b""


@pytest.mark.parametrize("paths", [[b"/slow"], [b"/"] * 3], ids=["the answer takes long", "many requests"])
def test_who_sends_whole_requests_is_not_hurried(paths: list[bytes]) -> None:
    with connected(App(), max_head_s=PATIENT_S) as connection:
        for path in paths:
            connection.sendall(HEAD.replace(b"/ ", path + b" ") + b"\r\n")
            assert answer(connection).startswith(b"HTTP/1.1 200")


def test_who_takes_nothing_of_an_answer_loses_the_connection() -> None:
    app = App()
    with connected(app, max_unread_s=SHORT_S) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        assert app.has_ended.wait(WAIT_S), "the service waits for ever"
        assert len(until_closed(connection)) < N_LARGE


def test_who_takes_all_of_an_answer_gets_all_of_it() -> None:
    with connected(App()) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert len(until_closed(connection)) > N_LARGE


def test_what_is_no_http_is_refused_as_everything_else_is() -> None:
    with connected(App()) as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: null\r\n\r\n")
        with connection.makefile("rb") as answer:
            head, _, content = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Content-Type: application/problem+json" in head
    assert ProblemReply.model_validate_json(content).type == "no-http"
