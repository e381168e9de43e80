"""Refusals of requests: one exception, one form of answer (RFC 9457, application/problem+json)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from edge_autotuner.core.redaction import redact_text
from edge_autotuner.wire.messages import ProblemReply

MEDIA_TYPE = "application/problem+json"

GONE = 499
"""Status in log and metrics for a client that disconnected, as other servers count it; never sent."""

CLOSE = {"Connection": "close"}
"""Headers of a refusal after which the rest of the request is not read, so that no other request can follow it."""

_MAX_ERRORS = 5
_MAX_ERROR_CHARACTERS = 200
_KINDS = {400: "bad-request", 404: "no-such-address", 405: "wrong-method"}


class Problem(Exception):
    """The refusal of a request.

    Args:
        kind: a short name for programs, in kebab case.
        detail: what, where, and what to do; no secret and no path of this machine.
        headers: for example Retry-After.
    """

    def __init__(self, status: int, kind: str, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.headers = status, kind, redact_text(detail), dict(headers or {})

    def reply(self) -> ProblemReply:
        """Return the message for the client."""
        return ProblemReply(
            type=self.kind, title=HTTPStatus(self.status).phrase, status=self.status, detail=self.detail
        )

    def response(self) -> Response:
        """Return the HTTP response."""
        content = self.reply().model_dump_json().encode()
        return Response(content, self.status, headers=self.headers, media_type=MEDIA_TYPE)


def invalid(errors: Sequence[Any], *place: str) -> Problem:
    """Return a refusal that names wrong fields, but not their values, which may be secret or large."""
    told = [_told(error, place) for error in errors[:_MAX_ERRORS]]
    return Problem(422, "invalid-request", "; ".join([*told, "..."] if len(errors) > _MAX_ERRORS else told))


def _told(error: Mapping[str, Any], place: Sequence[str]) -> str:
    where = ".".join(str(part)[:_MAX_ERROR_CHARACTERS] for part in (*place, *error["loc"]))
    text = f"{where[:_MAX_ERROR_CHARACTERS]}: {error['msg'][:_MAX_ERROR_CHARACTERS]}"
    return "".join(character if character.isprintable() else "?" for character in text)


def answer_problems(app: FastAPI) -> None:
    """Answer all refusals in this form, also those of the framework."""
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)


async def _answer_problem(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Problem)
    return exc.response()


async def _answer_nobody(request: Request, exc: Exception) -> Response:
    """Count a client that disconnected within its body."""
    return Response(status_code=GONE)


async def _answer_invalid(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    return invalid(exc.errors()).response()


async def _answer_http_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    kind = _KINDS.get(exc.status_code, "refused")
    return Problem(exc.status_code, kind, str(exc.detail), headers=exc.headers).response()
