"""One computation for several askers, which ends early only when all have left."""

from __future__ import annotations

import asyncio

import pytest

from edge_autotuner.server.annotation.shared_work import SharedWork


class Work:
    """A computation that a test lets end."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.ended: list[str] = []

    async def __call__(self) -> str:
        await self.may_end.wait()
        return "answer"

    def start(self, shared: SharedWork[str, str]) -> None:
        shared.start("key", self(), on_end=lambda: self.ended.append("end"))


def test_all_who_join_get_the_answer() -> None:
    async def scenario() -> None:
        shared, work = SharedWork[str, str](), Work()
        work.start(shared)
        assert "key" in shared
        tasks = [shared.join("key") for _ in range(3)]
        work.may_end.set()
        assert await asyncio.gather(*map(asyncio.shield, tasks)) == ["answer"] * 3
        await asyncio.sleep(0)
        assert "key" not in shared
        assert work.ended == ["end"]

    asyncio.run(scenario())


def test_only_the_last_who_leaves_ends_it() -> None:
    async def scenario() -> None:
        shared, work = SharedWork[str, str](), Work()
        work.start(shared)
        first, second = shared.join("key"), shared.join("key")
        shared.leave("key", first)
        assert "key" in shared
        assert not second.cancelling()
        shared.leave("key", second)
        assert "key" not in shared, "nobody may join what is being cancelled"
        await asyncio.gather(second, return_exceptions=True)
        assert second.cancelled()
        assert work.ended == ["end"]

    asyncio.run(scenario())


def test_a_new_computation_may_start_while_the_old_one_is_being_cancelled() -> None:
    async def scenario() -> None:
        shared, old, new = SharedWork[str, str](), Work(), Work()
        old.start(shared)
        shared.leave("key", shared.join("key"))
        new.start(shared)
        task = shared.join("key")
        new.may_end.set()
        assert await asyncio.shield(task) == "answer"
        assert old.ended == ["end"]

    asyncio.run(scenario())


def test_an_error_reaches_everybody_and_is_not_remembered() -> None:
    async def fail() -> str:
        raise ValueError("no")

    async def scenario() -> None:
        shared, ended = SharedWork[str, str](), []
        shared.start("key", fail(), on_end=lambda: ended.append("end"))
        tasks = [shared.join("key") for _ in range(2)]
        answers = await asyncio.gather(*map(asyncio.shield, tasks), return_exceptions=True)
        assert [str(answer) for answer in answers] == ["no", "no"]
        assert ended == ["end"]
        with pytest.raises(KeyError):
            shared.join("key")

    asyncio.run(scenario())


def test_work_that_is_cancelled_before_it_begins_ends_too() -> None:
    async def scenario() -> None:
        shared, work = SharedWork[str, str](), Work()
        work.start(shared)
        task = shared.join("key")
        shared.leave("key", task)
        await asyncio.gather(task, return_exceptions=True)
        assert work.ended == ["end"]

    asyncio.run(scenario())
