"""Bodies are counted as they arrive; nothing is read beyond the limit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from edge_autotuner.core.clock import Clock, FakeClock
from edge_autotuner.server.limits import BodyLimit
from edge_autotuner.server.problems import Problem
from support.service.service_samples import WAIT_S


class Client:
    """Sends a body in pieces and remembers what it is answered."""

    def __init__(self, *pieces: bytes, declared: str | None = None) -> None:
        headers = [] if declared is None else [(b"content-length", declared.encode())]
        self.scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/x", "headers": headers}
        self._pieces = list(pieces)
        self.n_read = 0
        self.answers: list[Message] = []

    async def receive(self) -> Message:
        self.n_read += 1
        return {"type": "http.request", "body": self._pieces.pop(0), "more_body": bool(self._pieces)}

    async def send(self, message: Message) -> None:
        self.answers.append(message)

    @property
    def status(self) -> int:
        return int(self.answers[0]["status"])


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Read all of a body, then answer; like the frameworks, turn an error of reading into an answer."""
    try:
        while (await receive()).get("more_body"):
            pass
        status = 200
    except Problem:
        status = 400
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def limit(
    max_bytes: int = 10,
    max_total_bytes: int = 100,
    app: Any = echo,
    max_pause_s: float = WAIT_S,
    clock: Clock | None = None,
) -> BodyLimit:
    return BodyLimit(
        app,
        max_bytes=max_bytes,
        max_total_bytes=max_total_bytes,
        max_pause_s=max_pause_s,
        max_body_s=60.0,
        is_streamed=lambda scope: scope["path"] == "/blob",
        clock=clock,
    )


def ask(app: BodyLimit, client: Client) -> int:
    asyncio.run(app(client.scope, client.receive, client.send))
    return client.status


@pytest.mark.parametrize(
    ("pieces", "declared", "status", "n_read"),
    [
        pytest.param([b"12345", b"67890"], None, 200, 2, id="as large as allowed"),
        pytest.param([b"12345", b"67890", b"1", b"2"], None, 413, 3, id="one byte more, no length"),
        pytest.param([b"12345678901", b"2"], "5", 413, 1, id="more than announced"),
        pytest.param([b"1"], "11", 413, 0, id="announced, nothing is read"),
        pytest.param([b"1"], "9" * 5000, 413, 0, id="absurd length"),
        pytest.param([b"1"], "x", 200, 1, id="length is no number"),
    ],
)
def test_a_body_is_bounded(pieces: list[bytes], declared: str | None, status: int, n_read: int) -> None:
    client = Client(*pieces, declared=declared)
    assert ask(limit(), client) == status
    assert client.n_read == n_read
    if status == 413:
        assert (b"connection", b"close") in client.answers[0]["headers"]
        assert len(client.answers) == 2, "one answer, and not that of the framework"


def test_uploads_to_the_disk_may_have_any_size() -> None:
    client = Client(b"x" * 1000)
    client.scope["path"] = "/blob"
    assert ask(limit(), client) == 200


def test_all_bodies_together_are_bounded_while_they_are_in_memory() -> None:
    async def run() -> None:
        may_end, holds = asyncio.Event(), asyncio.Event()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            holds.set()
            await may_end.wait()
            await echo(scope, Client(b"").receive, send)

        app = limit(max_total_bytes=15, app=slow)
        first, second, third = Client(b"x" * 10), Client(b"x" * 6), Client(b"x" * 10)
        task = asyncio.create_task(app(first.scope, first.receive, first.send))
        await holds.wait()
        with pytest.raises(Problem):  # this app does not turn errors into answers, as a framework would
            await app(second.scope, second.receive, second.send)
        may_end.set()
        await task
        assert first.status == 200
        await app(third.scope, third.receive, third.send)
        assert third.status == 200, "what is answered is not held any more"

    asyncio.run(run())


def test_too_many_bodies_are_asked_to_come_back() -> None:
    client = Client(b"x" * 9)
    assert ask(limit(max_total_bytes=8), client) == 429
    assert (b"retry-after", b"2") in client.answers[0]["headers"]


PATHS = pytest.mark.parametrize("path", ["/x", "/blob"], ids=["in memory", "to the disk"])


@PATHS
def test_a_body_that_stops_coming_ends_the_request(path: str) -> None:
    class Stalled(Client):
        async def receive(self) -> Message:
            return await super().receive() if self.n_read == 0 else await asyncio.Event().wait()  # type: ignore[return-value]

    client = Stalled(b"x", b"y")
    client.scope["path"] = path
    assert ask(limit(max_pause_s=0.01), client) == 408
    assert (b"connection", b"close") in client.answers[0]["headers"]


@PATHS
def test_a_body_that_drips_ends_the_request(path: str) -> None:
    """No pause is too long, but all of them together are."""
    clock = FakeClock()

    class Dripping(Client):
        async def receive(self) -> Message:
            await asyncio.sleep(0)
            clock.advance(20)
            return await super().receive()

    client = Dripping(*[b"x"] * 9)
    client.scope["path"] = path
    assert ask(limit(clock=clock), client) == 408
    assert client.n_read == 3


def test_a_client_may_wait_long_for_its_answer() -> None:
    """Only the body is hurried: what is received after it is that the client went away."""

    async def patient(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        gone = asyncio.create_task(receive())
        await asyncio.wait({gone}, timeout=0.05)
        assert not gone.done()
        gone.cancel()
        await echo(scope, Client(b"").receive, send)

    class Waiting(Client):
        async def receive(self) -> Message:
            return await super().receive() if self.n_read == 0 else await asyncio.Event().wait()  # type: ignore[return-value]

    assert ask(limit(app=patient, max_pause_s=0.01), Waiting(b"x")) == 200
