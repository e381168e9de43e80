"""Why a request is not carried out: one exception, one form of answer (RFC 9457, application/problem+json)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from edge_autotuner.client.messages import ProblemReply

MEDIA_TYPE = "application/problem+json"

_KINDS = {400: "bad-request", 404: "no-such-address", 405: "wrong-method"}


class Problem(Exception):
    """A request that is refused.

    Args:
        status: the HTTP status, 400 to 599.
        kind: a short name for programs, in kebab case.
        detail: what, where, and what to do; no secret and no path of this machine.
        headers: for example Retry-After.
    """

    def __init__(self, status: int, kind: str, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.headers = status, kind, detail, dict(headers or {})

    def reply(self) -> ProblemReply:
        """Return what the client is told."""
        return ProblemReply(
            type=self.kind, title=HTTPStatus(self.status).phrase, status=self.status, detail=self.detail
        )

    def response(self) -> Response:
        """Return the answer as it is sent."""
        content = self.reply().model_dump_json().encode()
        return Response(content, self.status, headers=self.headers, media_type=MEDIA_TYPE)


def answer_problems(app: FastAPI) -> None:
    """Let an app answer refusals in this form, also those of the framework itself."""
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http_error)


async def _answer_problem(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Problem)
    return exc.response()


async def _answer_invalid(request: Request, exc: Exception) -> Response:
    """Say which fields are wrong and why, but not what they held: that may be secret, or large."""
    assert isinstance(exc, RequestValidationError)
    wrong = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors()[:10])
    return Problem(422, "invalid-request", wrong).response()


async def _answer_http_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    kind = _KINDS.get(exc.status_code, "refused")
    return Problem(exc.status_code, kind, str(exc.detail), headers=exc.headers).response()
