"""Reads the bodies of requests: only for a caller with access, bounded before they are decoded, never to the disk.

FastAPI reads and decodes a body before it checks access, on the event loop, and pydantic checks all of it. A route
therefore takes its message from `json_body` and never as a parameter of its own: access first, then bytes, then items,
then the message.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request
from pydantic import ValidationError
from pydantic_core import from_json
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from edge_autotuner.core.json_limits import check_json
from edge_autotuner.server.access import Caller
from edge_autotuner.server.annotation.pictures import Upload
from edge_autotuner.server.problems import CLOSE, Problem, invalid
from edge_autotuner.wire.annotation_messages import BatchRequest, Placement
from edge_autotuner.wire.messages import Request as RequestMessage

_Message = TypeVar("_Message", bound=RequestMessage)

_SMALL_BYTES = 16 << 10  # decoding takes less time than a switch to a thread and back
_READERS = CapacityLimiter(2)  # threads that decode at the same time; other bodies wait, counted by `BodyLimit`
_CHARSETS = {b"utf-8", b"utf8", b"us-ascii"}


def json_body(message: type[_Message], access: Callable[..., Awaitable[Caller]]) -> Any:  # noqa: ANN401 (as Depends)
    """Return a dependency that gives the message in a request's body, within its `json_limits`.

    Raises:
        Problem: 413 the body is too large, 415 its type is not JSON, 422 it is not such a message.
    """

    async def read(request: Request, _caller: Caller = Depends(access)) -> _Message:  # noqa: B008 (as FastAPI wants)
        return await read_message(request, message)

    read.__dict__["message"] = message  # for the OpenAPI description
    return Depends(read)


async def read_message(request: Request, message: type[_Message]) -> _Message:
    """Return the message in a request's body; see `json_body`."""
    if media_type_of(request) != "application/json":
        raise Problem(415, "json-type", "send the body as application/json")
    content = await read_bounded(request, message.json_limits.max_bytes)
    if len(content) <= _SMALL_BYTES:
        return parse_message(content, message)
    return await to_thread.run_sync(parse_message, content, message, limiter=_READERS)


def media_type_of(request: Request) -> str:
    """Return the type of a request's body, in lower case and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_bounded(request: Request, max_bytes: int) -> bytes:
    """Return the body of a request; raises `Problem` 413 as soon as it is too large."""
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
    """Check the limits of a message and decode it; raises `Problem` 422."""
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
    """Refuse too many fields: pydantic writes an error for each unknown one."""
    most = 2 * len(message.model_fields) + 10
    if isinstance(values, dict) and len(values) > most:
        raise ValueError(f"{len(values)} fields, but {message.__name__} has {len(message.model_fields)}")


def _too_large(max_bytes: int) -> Problem:
    return Problem(413, "body-too-large", f"this request may have at most {max_bytes} bytes", headers=CLOSE)


@dataclass(frozen=True)
class BatchForm:
    """The form of a batch: its request, its pictures, and their positions in frames."""

    request: BatchRequest
    uploads: Sequence[Upload]
    placements: Sequence[Placement]


class _InMemoryParser(MultiPartParser):
    """Keeps files in memory: the whole body is bounded already."""

    spool_max_size = sys.maxsize


async def read_batch(request: Request, *, max_pictures: int) -> BatchForm:
    """Read the form of a batch.

    Raises:
        Problem: 400 it is not a form, 413 too many pictures, 415 another type, 422 wrong fields.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise Problem(415, "form-type", "send the pictures as multipart/form-data")
    if options.get(b"charset", b"utf-8").lower() not in _CHARSETS:  # others are slow, or fail
        raise Problem(415, "form-charset", "send the form's text as UTF-8")
    parser = _InMemoryParser(
        request.headers,
        request.stream(),
        max_files=max_pictures,
        max_fields=1,
        max_part_size=BatchRequest.json_limits.max_bytes,
    )
    try:
        form = await parser.parse()
    except MultiPartException as exc:
        if exc.message.startswith("Too many files"):
            raise Problem(413, "too-many-pictures", f"a request may have at most {max_pictures} pictures") from exc
        raise Problem(400, "form-damaged", f"this form cannot be used: {exc.message}") from exc
    try:
        return await _read(form)
    finally:
        await form.close()


async def _read(form: FormData) -> BatchForm:
    unknown = sorted({name for name, _ in form.multi_items()} - {"request", "pictures"})
    if unknown:
        raise Problem(422, "invalid-request", "a form may have only the fields request and pictures")
    files = [file for file in form.getlist("pictures") if isinstance(file, UploadFile)]
    asked = _read_request(form.get("request"))
    placements = (Placement(),) * len(files) if asked.placements is None else asked.placements
    if not files or len(files) < len(form.getlist("pictures")):
        raise Problem(422, "invalid-request", "pictures: expected one or more files, each with a file name")
    if len(placements) != len(files):
        raise Problem(422, "invalid-request", f"placements: expected {len(files)}, one for each picture")
    uploads = [Upload(await file.read(), (file.content_type or "").lower()) for file in files]
    return BatchForm(asked, uploads, placements)


def _read_request(field: UploadFile | str | None) -> BatchRequest:
    if isinstance(field, UploadFile):
        raise Problem(422, "invalid-request", "request: expected a field without a file name")
    return BatchRequest() if field is None else parse_message(field, BatchRequest)
