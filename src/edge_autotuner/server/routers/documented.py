"""How routes describe their refusals in the OpenAPI description."""

from __future__ import annotations

from typing import Any

from edge_autotuner.client.messages import ProblemReply
from edge_autotuner.server.problems import MEDIA_TYPE

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
    schema = ProblemReply.model_json_schema()
    return {
        status: {"description": _MEANINGS[status], "content": {MEDIA_TYPE: {"schema": schema}}} for status in statuses
    }
