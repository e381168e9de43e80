"""Bodies that are messages: read only for a caller who may send them, bounded before they are decoded.

FastAPI reads and decodes a body before it looks who is asking, on the event loop, and pydantic checks all of it. A
route therefore takes its message from `json_body` and never as a parameter of its own: access first, then bytes, then
items, then the message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request
from pydantic import ValidationError
from pydantic_core import from_json

from edge_autotuner.core.json_limits import check_json
from edge_autotuner.server.access import Caller
from edge_autotuner.server.problems import Problem, invalid
from edge_autotuner.wire.messages import Request as RequestMessage

_Message = TypeVar("_Message", bound=RequestMessage)

_SMALL_BYTES = 16 << 10  # takes less time than the way to a thread and back
_READERS = CapacityLimiter(2)  # threads that decode at the same time; others wait, with their bytes counted
_CLOSE = {"Connection": "close"}  # the rest of the body is not wanted: no other request can follow it
_KINDS = {"application/json"}


def json_body(message: type[_Message], access: Callable[..., Awaitable[Caller]]) -> Any:  # noqa: ANN401 (as Depends)
    """Return a dependency that gives the message in a request's body.

    Args:
        message: what the body must be; its `json_limits` hold.
        access: dependency from `caller_with`, which is asked before anything is read.

    Raises:
        Problem: 413 the body is too large, 415 it is no JSON by its type, 422 it is not such a message.
    """

    async def read(request: Request, _caller: Caller = Depends(access)) -> _Message:  # noqa: B008 (as FastAPI wants)
        return await read_message(request, message)

    read.__dict__["message"] = message  # for the OpenAPI description
    return Depends(read)


async def read_message(request: Request, message: type[_Message]) -> _Message:
    """Return the message in a request's body; see `json_body`."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _KINDS:
        raise Problem(415, "json-type", "send the body as application/json")
    content = await read_bounded(request, message.json_limits.max_bytes)
    if len(content) <= _SMALL_BYTES:
        return parse_message(content, message)
    return await to_thread.run_sync(parse_message, content, message, limiter=_READERS)


async def read_bounded(request: Request, max_bytes: int) -> bytes:
    """Return the body of a request; what is too large is not read to its end.

    Raises:
        Problem: 413.
    """
    chunks, n_bytes = [], 0
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:20]) > max_bytes:
        raise _too_large(max_bytes)
    async for chunk in request.stream():
        chunks.append(chunk)
        n_bytes += len(chunk)
        if n_bytes > max_bytes:
            raise _too_large(max_bytes)
    return b"".join(chunks)


def parse_message(content: bytes | str, message: type[_Message]) -> _Message:
    """Return a message, after a look at its size and form.

    Raises:
        Problem: 422.
    """
    text = content if isinstance(content, bytes) else content.encode()
    try:
        check_json(text, message.json_limits)
        values = from_json(text)
        _check_fields(values, message)
    except ValueError as exc:
        raise Problem(422, "invalid-request", f"body: {exc!s:.200}") from None
    try:
        return message.model_validate(values)
    except ValidationError as exc:
        raise invalid(exc.errors(include_url=False, include_context=False, include_input=False), "body") from None


def _check_fields(values: object, message: type[RequestMessage]) -> None:
    """Refuse too many fields: pydantic writes an error for each that it does not know."""
    most = 2 * len(message.model_fields) + 10
    if isinstance(values, dict) and len(values) > most:
        raise ValueError(f"{len(values)} fields, a {message.__name__} has {len(message.model_fields)}")


def _too_large(max_bytes: int) -> Problem:
    return Problem(413, "body-too-large", f"this request may have {max_bytes} bytes at most", headers=_CLOSE)
