"""Bodies and refusals in the OpenAPI description: by reference, each message once."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from edge_autotuner.server.problems import MEDIA_TYPE
from edge_autotuner.wire.annotation_messages import BatchRequest
from edge_autotuner.wire.job_messages import TuneRequest
from edge_autotuner.wire.messages import ProblemReply
from edge_autotuner.wire.registry_messages import BlobQuestion, BundleRequest, CameraRequest

_REF = "#/components/schemas/{model}"
_MESSAGES: tuple[type[BaseModel], ...] = (
    ProblemReply,
    BatchRequest,
    BlobQuestion,
    BundleRequest,
    CameraRequest,
    TuneRequest,
)
"""Messages that the framework does not find, because it knows only the answers of routes."""

_MEANINGS = {
    400: "Not valid HTTP, or an unreadable form.",
    401: "No valid token.",
    403: "The scopes of the token do not include this.",
    404: "Unknown camera, bundle, job, content or model.",
    408: "The body timed out.",
    409: "The request conflicts with the current state.",
    413: "Too many bytes or pixels.",
    415: "Unsupported type, or another one than announced.",
    416: "The content has no such range.",
    422: "The request is invalid.",
    429: "The queue is full, or the quota is used up; Retry-After says when to try again.",
    500: "Unexpected error; the log of the service has the cause, under the ID in the answer.",
    503: "Temporarily unavailable; Retry-After says when to try again.",
    507: "The disk of the service is full.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the refusals with these statuses, for a route's `responses`."""
    content = {MEDIA_TYPE: {"schema": named(ProblemReply)}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in statuses}


def takes(message: type[BaseModel]) -> dict[str, Any]:
    """Return a message as body, for a route's `openapi_extra`."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": named(message)}}}}


def named(message: type[BaseModel]) -> dict[str, str]:
    """Return a reference to a message."""
    return {"$ref": _REF.format(model=message.__name__)}


def add_messages(description: dict[str, Any]) -> None:
    """Add the messages that `problems`, `takes` and `named` refer to."""
    _, described = models_json_schema([(message, "validation") for message in _MESSAGES], ref_template=_REF)
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in described["$defs"].items():
        schemas.setdefault(name, schema)
