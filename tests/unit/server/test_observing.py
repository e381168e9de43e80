"""What every answer has, and what happens to errors that nobody foresaw."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from edge_autotuner.errors import StorageError
from edge_autotuner.server.metrics import Metrics
from edge_autotuner.server.observing import Observing


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"max-age=9")]})
    await send({"type": "http.response.body", "body": b"abc"})


def ask(
    app: Any, *, scheme: str = "https", method: str = "GET", answers: list[Message] | None = None
) -> tuple[list[Message], Metrics]:
    answers = [] if answers is None else answers

    async def send(message: Message) -> None:
        answers.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    metrics = Metrics()
    scope = {"type": "http", "method": method, "path": "/", "scheme": scheme, "headers": []}
    asyncio.run(Observing(app, metrics=metrics)(scope, receive, send))
    return answers, metrics


def headers_of(answers: list[Message]) -> dict[str, str]:
    return {name.decode().lower(): value.decode() for name, value in answers[0]["headers"]}


def test_answers_have_security_headers_and_no_permission_for_other_sites() -> None:
    headers = headers_of(ask(fine)[0])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["cache-control"] == "max-age=9", "what a route says itself stays"
    assert "strict-transport-security" in headers
    assert not [name for name in headers if name.startswith("access-control")]
    assert "strict-transport-security" not in headers_of(ask(fine, scheme="http")[0])


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        pytest.param(KeyError("/secret/path"), 500, "unexpected", id="a mistake of the program"),
        pytest.param(StorageError("cannot write /secret/path"), 503, "storage", id="the disk"),
    ],
)
def test_an_error_becomes_an_id_that_is_in_the_log(
    error: Exception, status: int, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    answers, metrics = ask(broken)
    assert answers[0]["status"] == status
    body = answers[1]["body"].decode()
    assert f'"type":"{kind}"' in body
    assert "secret" not in body
    reference = body.rpartition(" ")[2].removesuffix('"}')
    assert reference in caplog.text
    assert "/secret/path" in caplog.text
    assert f'status="{status}"' in metrics.page().decode()


def test_an_error_after_the_first_byte_is_logged_and_answers_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeyError("late")

    assert len(ask(broken)[0]) == 1
    assert "late" in caplog.text


def test_an_invented_method_does_not_become_a_label() -> None:
    assert 'method="-"' in ask(fine, method="BREW")[1].page().decode()


def test_a_request_that_is_cancelled_is_answered_and_stays_cancelled() -> None:
    async def cancelled(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    answers: list[Message] = []
    with pytest.raises(asyncio.CancelledError):
        ask(cancelled, answers=answers)
    assert answers[0]["status"] == 503
    assert headers_of(answers)["retry-after"] == "10"
