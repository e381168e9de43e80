"""Work ends when its client goes away, and only then looks as if it did."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.requests import Request

from edge_autotuner.server.routers.annotations import ClientGone, while_connected

GONE = {"type": "http.disconnect"}


class Conversation:
    """A client that goes away when the test says so, and work that a test sees."""

    def __init__(self) -> None:
        self.events = asyncio.Queue[dict[str, str]]()
        self.request = Request({"type": "http"}, self.events.get)  # type: ignore[arg-type]
        self.began = asyncio.Event()
        self.was_cancelled = False

    async def work(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


def play(scenario: Callable[[Conversation], Awaitable[None]]) -> None:
    async def run() -> None:
        await scenario(Conversation())

    asyncio.run(run())


def test_work_is_cancelled_when_its_client_has_gone() -> None:
    async def scenario(talk: Conversation) -> None:
        task = asyncio.create_task(while_connected(talk.request, talk.work()))
        await talk.began.wait()
        talk.events.put_nowait(GONE)
        with pytest.raises(ClientGone):
            await task
        assert talk.was_cancelled

    play(scenario)


def test_a_service_that_is_stopped_cancels_as_usual() -> None:
    async def scenario(talk: Conversation) -> None:
        task = asyncio.create_task(while_connected(talk.request, talk.work()))
        await talk.began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert talk.was_cancelled

    play(scenario)


def test_results_and_errors_come_through() -> None:
    async def scenario(talk: Conversation) -> None:
        async def fail() -> None:
            raise ValueError("mine")

        async def answer() -> str:
            return "answer"

        assert await while_connected(talk.request, answer()) == "answer"
        with pytest.raises(ValueError, match="mine"):
            await while_connected(talk.request, fail())
        talk.events.put_nowait(GONE)
        await asyncio.sleep(0)
        assert talk.events.qsize() == 1, "nobody listens any more"

    play(scenario)
