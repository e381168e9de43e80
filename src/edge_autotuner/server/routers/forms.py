"""Reads the form of a batch, without writing any of it to the disk."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from edge_autotuner.server.annotation.pictures import Upload
from edge_autotuner.server.json_bodies import parse_message
from edge_autotuner.server.problems import Problem
from edge_autotuner.wire.annotation_messages import BatchRequest, Placement

_CHARSETS = {b"utf-8", b"utf8", b"us-ascii"}
_MAX_REQUEST_BYTES = BatchRequest.json_limits.max_bytes


@dataclass(frozen=True)
class Batch:
    """A form that was read.

    Attributes:
        request: what is asked for.
        uploads: the pictures, in order.
        placements: where each of them lies.
    """

    request: BatchRequest
    uploads: Sequence[Upload]
    placements: Sequence[Placement]


class _InMemoryParser(MultiPartParser):
    """The whole body is bounded already; its parts need not go to temporary files."""

    spool_max_size = sys.maxsize


async def read_batch(request: Request, *, max_pictures: int) -> Batch:
    """Return the fields of a form.

    Raises:
        Problem: 400 for what is no form, 413 for too many pictures, 415 for another type, 422 for wrong fields.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise Problem(415, "form-type", "send the pictures as multipart/form-data")
    if options.get(b"charset", b"utf-8").lower() not in _CHARSETS:  # some of Python's are slow, or fail unexpectedly
        raise Problem(415, "form-charset", "send the texts of the form as UTF-8")
    parser = _InMemoryParser(
        request.headers, request.stream(), max_files=max_pictures, max_fields=1, max_part_size=_MAX_REQUEST_BYTES
    )
    try:
        form = await parser.parse()
    except MultiPartException as exc:
        if exc.message.startswith("Too many files"):
            raise Problem(413, "too-many-pictures", f"a request may have {max_pictures} pictures at most") from exc
        raise Problem(400, "form-damaged", f"this form cannot be used: {exc.message}") from exc
    try:
        return await _read(form)
    finally:
        await form.close()


async def _read(form: FormData) -> Batch:
    unknown = sorted({name for name, _ in form.multi_items()} - {"request", "pictures"})
    if unknown:
        raise Problem(422, "invalid-request", "a form has the fields request and pictures, and no other")
    files = [file for file in form.getlist("pictures") if isinstance(file, UploadFile)]
    asked = _read_request(form.get("request"))
    placements = (Placement(),) * len(files) if asked.placements is None else asked.placements
    if not files or len(files) < len(form.getlist("pictures")):
        raise Problem(422, "invalid-request", "pictures: expected one or more files, each with a file name")
    if len(placements) != len(files):
        raise Problem(422, "invalid-request", f"placements: expected {len(files)}, one for each picture")
    uploads = [Upload(await file.read(), (file.content_type or "").lower()) for file in files]
    return Batch(asked, uploads, placements)


def _read_request(field: UploadFile | str | None) -> BatchRequest:
    if isinstance(field, UploadFile):
        raise Problem(422, "invalid-request", "request: expected a field without a file name")
    return BatchRequest() if field is None else parse_message(field, BatchRequest)
