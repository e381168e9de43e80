"""Work for a client that may go away meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

_Result = TypeVar("_Result")


class ClientGone(Exception):
    """The client went away before it was answered."""


async def while_connected(request: Request, work: Coroutine[Any, Any, _Result]) -> _Result:
    """Return the result of some work, which is cancelled when the client goes away; the body must have been read.

    Raises:
        ClientGone: it did.
    """
    this = asyncio.current_task()
    assert this is not None
    watcher = asyncio.create_task(_cancel_when_gone(request, this))
    try:
        return await work
    except asyncio.CancelledError:
        if watcher.done() and this.uncancel() == 0:
            raise ClientGone from None
        raise  # another one has cancelled this: the service is being stopped
    finally:
        watcher.cancel()


async def _cancel_when_gone(request: Request, task: asyncio.Task[Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    task.cancel()
