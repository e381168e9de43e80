"""Shares one computation between concurrent requests for the same result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Result = TypeVar("_Result")


class SharedWork(Generic[_Key, _Result]):
    """Running computations by key; one that nobody waits for is cancelled."""

    def __init__(self) -> None:
        self._tasks: dict[_Key, asyncio.Task[_Result]] = {}
        self._n_waiting: dict[asyncio.Task[_Result], int] = {}

    def __contains__(self, key: _Key) -> bool:
        return key in self._tasks

    def start(self, key: _Key, work: Coroutine[Any, Any, _Result], *, on_end: Callable[[], None]) -> None:
        """Start a computation that is not running; `on_end` is called at its end, also after an error."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[key] = task
        self._n_waiting[task] = 0
        task.add_done_callback(lambda task: self._ended(key, task, on_end))

    def join(self, key: _Key) -> asyncio.Task[_Result]:
        """Return a running computation, to be awaited in a shield; `leave` must follow. Raises `KeyError`."""
        task = self._tasks[key]
        self._n_waiting[task] += 1
        return task

    def leave(self, key: _Key, task: asyncio.Task[_Result]) -> None:
        """Stop waiting; the last one to leave before the end cancels the computation."""
        if task.done():
            return
        self._n_waiting[task] -= 1
        if self._n_waiting[task] == 0:
            self._forget(key, task)  # nobody may join it now
            task.cancel()

    def _ended(self, key: _Key, task: asyncio.Task[_Result], on_end: Callable[[], None]) -> None:
        self._forget(key, task)
        self._n_waiting.pop(task, None)
        if not task.cancelled():
            task.exception()  # mark as retrieved, also if nobody waited for it
        on_end()

    def _forget(self, key: _Key, task: asyncio.Task[_Result]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
