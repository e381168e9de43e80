"""The kinds of text that messages, settings and files may hold; nothing that comes from elsewhere is a bare `str`.

Names are checked and become paths by `storage.child_path` only. Lines are checked where somebody asks for something,
and made printable where a reply is shown: an old or a hostile service then costs a strange line, never a whole reply.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from edge_autotuner.config.base import PlainName
from edge_autotuner.core.json_values import check_json_values
from edge_autotuner.core.printable import is_printable, one_line

BundleId = PlainName
"""What the registry calls a bundle."""

JobId = PlainName
"""What a service calls a job."""

ClientName = PlainName
"""Whom a token was given to."""

MAX_LINE = 200
MAX_EXPLANATION = 2000


def _check_printable(text: str) -> str:
    if not is_printable(text):
        raise ValueError("expected one line without control characters, escape codes and invisible characters")
    return text


def _shown(max_length: int) -> BeforeValidator:
    return BeforeValidator(lambda text: one_line(text, max_length) if isinstance(text, str) else text)


def _check_json(value: dict[str, Any]) -> dict[str, Any]:
    check_json_values(value)
    return value


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""The hash of some content, which is also its name."""

Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
"""A short hash of settings."""

SignatureText = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$")]
"""Base64 of the 64 bytes of an Ed25519 signature."""

Line = Annotated[str, Field(max_length=MAX_LINE), AfterValidator(_check_printable)]
"""One line for people, as somebody wrote it; refused where a terminal would obey it."""

LongLine = Annotated[str, Field(max_length=1000), AfterValidator(_check_printable)]
"""A longer one: names of files and sources."""

ShownLine = Annotated[str, _shown(MAX_LINE), Field(max_length=MAX_LINE)]
"""One line of a reply, for people: cut, and harmful characters are written out."""

Explanation = Annotated[str, _shown(MAX_EXPLANATION), Field(max_length=MAX_EXPLANATION)]
"""A longer text of a reply, such as why something was refused; treated like `ShownLine`."""

ClassName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_check_printable)]
"""What a model calls a kind of object."""

JsonTable = Annotated[dict[str, Any], AfterValidator(_check_json)]
"""JSON values that others choose, such as metrics: bounded in depth, number and text."""
