"""Validated text types for messages, settings and files; no field with foreign text is a bare `str`.

Names become paths only through `storage.child_path`. Text in requests is validated and rejected; text in replies is
made printable instead, so that an old or hostile service costs a strange line, never a whole reply.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from edge_autotuner.config.base import PlainName
from edge_autotuner.core.json_limits import check_json_values
from edge_autotuner.core.printable import is_printable, one_line

BundleId = PlainName
"""ID of a bundle in the registry."""

JobId = PlainName
"""ID of a tuning job."""

MAX_LINE = 200
MAX_EXPLANATION = 2000


def _check_printable(text: str) -> str:
    if not is_printable(text):
        raise ValueError("expected one line without control characters, escape codes or invisible characters")
    return text


def _shown(max_length: int) -> BeforeValidator:
    return BeforeValidator(lambda text: one_line(text, max_length) if isinstance(text, str) else text)


def _check_json(value: dict[str, Any]) -> dict[str, Any]:
    check_json_values(value)
    return value


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of a blob, which is also its name."""

Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
"""A short hash of settings."""

SignatureText = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$")]
"""Base64 of the 64 bytes of an Ed25519 signature."""

Line = Annotated[str, Field(max_length=MAX_LINE), AfterValidator(_check_printable)]
"""One line of text for people; rejected if it contains terminal codes."""

LongLine = Annotated[str, Field(max_length=1000), AfterValidator(_check_printable)]
"""A longer line, for names of files and sources."""

ShownLine = Annotated[str, _shown(MAX_LINE), Field(max_length=MAX_LINE)]
"""One line of a reply: truncated, harmful characters escaped."""

Explanation = Annotated[str, _shown(MAX_EXPLANATION), Field(max_length=MAX_EXPLANATION)]
"""A longer text of a reply, e.g. the reason of a refusal; treated like `ShownLine`."""

ClassName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_check_printable)]
"""Name of an object class."""

JsonTable = Annotated[dict[str, Any], AfterValidator(_check_json)]
"""Foreign JSON values, e.g. metrics, with limits on depth, number and text."""
