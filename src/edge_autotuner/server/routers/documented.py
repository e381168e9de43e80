"""How routes describe bodies and refusals in the OpenAPI description: by name, each message once."""

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
"""What the framework does not find: it knows the answers of routes only."""

_MEANINGS = {
    400: "The request is not HTTP or not a form that can be read.",
    401: "No valid token.",
    403: "The token is not for this.",
    404: "There is no such thing.",
    408: "The body did not come.",
    409: "It does not fit what is there.",
    413: "Too many bytes or pixels.",
    415: "Another type than announced, or one that is not taken.",
    416: "There is no such part.",
    422: "Something in the request is wrong.",
    429: "Too much to do, or the quota is used up; Retry-After says when to try again.",
    500: "Something unexpected happened; the log of the service says what, under the id in the answer.",
    503: "Not now; Retry-After says when to try again.",
    507: "The disk of the service has no room for it.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of refusals with these statuses, for a route's `responses`."""
    content = {MEDIA_TYPE: {"schema": named(ProblemReply)}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in statuses}


def takes(message: type[BaseModel]) -> dict[str, Any]:
    """Return the description of a body that is a message, for a route's `openapi_extra`."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": named(message)}}}}


def named(message: type[BaseModel]) -> dict[str, str]:
    """Return a reference to a message."""
    return {"$ref": _REF.format(model=message.__name__)}


def add_messages(description: dict[str, Any]) -> None:
    """Add what `problems`, `takes` and `named` refer to."""
    _, described = models_json_schema([(message, "validation") for message in _MESSAGES], ref_template=_REF)
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in described["$defs"].items():
        schemas.setdefault(name, schema)
