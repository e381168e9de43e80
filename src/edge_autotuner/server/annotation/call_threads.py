"""Threads for work that would block the event loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class CallThreads:
    """Threads that run calls in order; a call that never ends does not keep the process alive.

    An executor of the standard library would wait for its threads at the end of the process.
    """

    def __init__(self, n_threads: int, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._n_threads = n_threads
        for number in range(n_threads):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def run(self, call: Callable[[], _Result]) -> asyncio.Future[_Result]:
        """Return a future of a call; cancelling it does not stop the call."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        self._calls.put(lambda: _carry_out(call, loop, future))
        return future

    def close(self) -> None:
        """End the threads after the calls that they were given."""
        for _ in range(self._n_threads):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _carry_out(call: Callable[[], Any], loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> None:
    result, error = None, None
    if future.cancelled():
        return
    try:
        result = call()
    except BaseException as exc:  # the edge of the thread: the future carries it
        error = exc
    try:
        loop.call_soon_threadsafe(_tell, future, result, error)
    except RuntimeError:  # the loop is closed
        return


def _tell(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):  # a future cannot carry it
        future.set_exception(RuntimeError("the call raised StopIteration"))
    else:
        future.set_exception(error)
