"""`/v1/blobs`: contents by their hash."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from edge_autotuner.server.access import caller_with
from edge_autotuner.server.blob_transfers import Download, open_download
from edge_autotuner.server.bodies import json_body
from edge_autotuner.server.routers.documented import takes
from edge_autotuner.wire.registry_messages import BlobQuestion, MissingBlobs, StoredBlob

router = APIRouter(prefix="/blobs", tags=["blobs"])

_writer = caller_with("train", "deploy")
_WRITERS = [Depends(_writer)]
_READERS = [
    Depends(caller_with("annotate", "train", "deploy"))
]  # an edge node fetches its model; knowing the hash suffices

Question = Annotated[BlobQuestion, json_body(BlobQuestion, _writer)]
Hash = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the content.")]

_OCTETS = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_CONTENT = {"requestBody": {"required": True, "content": _OCTETS}}
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": _OCTETS, "description": "The content."},
    206: {"content": _OCTETS, "description": "The requested part."},
}


@router.post("/missing", openapi_extra=takes(BlobQuestion))
async def find_missing(question: Question, request: Request) -> MissingBlobs:
    """Return which contents are missing; the others are kept for a while, so that they can be referred to."""
    there = await run_in_threadpool(request.app.state.services.blobs.claim, question.sha256)
    return MissingBlobs(missing=tuple(sha256 for sha256 in question.sha256 if sha256 not in there))


@router.put("/{sha256}", status_code=201, dependencies=_WRITERS, openapi_extra=_CONTENT)
async def put_blob(
    sha256: Hash, request: Request, content_length: Annotated[int | None, Header(ge=0)] = None
) -> StoredBlob:
    """Store a content; repeating it is harmless."""
    blobs = request.app.state.services.blobs
    n_bytes = await blobs.receive(sha256, request.stream(), declared_bytes=content_length)
    return StoredBlob(sha256=sha256, n_bytes=n_bytes)


@router.get("/{sha256}", dependencies=_READERS, response_class=Response, responses=_BYTES)
async def get_blob(
    sha256: Hash, request: Request, range_: Annotated[str | None, Header(alias="Range")] = None
) -> Response:
    """Return a content, or the part in a Range header."""
    download = await run_in_threadpool(open_download, request.app.state.services.blobs, sha256, range_)
    return _DownloadResponse(download)


class _DownloadResponse(StreamingResponse):
    """Sends a download, and closes its file also when the client leaves before the end."""

    def __init__(self, download: Download) -> None:
        super().__init__(
            download.blocks(), download.status, headers=download.headers, media_type="application/octet-stream"
        )
        self._file = download.file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()  # no thread reads any more: a cancelled read is waited for
