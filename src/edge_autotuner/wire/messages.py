"""Messages between an edge node and the service: one model each, checked on both sides.

A request with an unknown field is refused, so that a misspelt field never passes silently. Within one version of the
interface, fields are only ever added, with a default; readers of replies therefore ignore unknown fields.

Each message has its `json_limits`, checked before it is decoded. Every sequence has a maximum length and fails at its
first wrong item: otherwise pydantic writes an error for each of millions of items before it counts them.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from edge_autotuner.config.texts import Explanation, ShownLine
from edge_autotuner.core.json_limits import JsonLimits

API_PREFIX = "/v1"

LONG_LIST = JsonLimits(max_bytes=8 << 20, max_items=400_000, max_depth=32)
"""Limits of replies with long lists."""


class Request(BaseModel):
    """A message of a client; unknown fields are refused.

    Attributes:
        json_limits: of a body; each message that is a whole body has its own.
    """

    json_limits: ClassVar[JsonLimits]

    model_config = ConfigDict(extra="forbid", frozen=True)


class Empty(Request):
    """A request that its address says completely."""


class Reply(BaseModel):
    """A message of the service, to which a later version may add fields.

    Attributes:
        json_limits: of a whole reply, with what a later version adds.
    """

    json_limits: ClassVar[JsonLimits] = JsonLimits(max_bytes=256 << 10, max_items=5000)

    model_config = ConfigDict(extra="ignore", frozen=True)


class ProblemReply(Reply):
    """Why a request was refused (RFC 9457).

    Attributes:
        type: kind of the problem, a short name for programs.
        title: the HTTP status in words.
        status: the HTTP status.
        detail: what is wrong, where, and what to do.
    """

    json_limits = JsonLimits(max_bytes=64 << 10, max_items=100)

    type: ShownLine
    title: ShownLine
    status: int
    detail: Explanation
