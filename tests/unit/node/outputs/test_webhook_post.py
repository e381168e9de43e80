"""Answers of an address, sorted, and addresses that cannot be used."""

from __future__ import annotations

import pytest

from edge_autotuner.config.node import WebhookConfig
from edge_autotuner.core import SystemClock
from edge_autotuner.errors import ConfigError
from edge_autotuner.node.outputs.webhook_post import JsonPost, NotNow, RefusedForGood, parse_webhook_url
from support.machine.free_ports import free_port
from support.service.output_samples import Hook

pytest.importorskip("httpx2")


def send(hook: Hook, text: str = "{}") -> None:
    post = JsonPost(WebhookConfig(url=hook.url, timeout_s=5.0), SystemClock())
    try:
        post.send(text)
    finally:
        post.close()


@pytest.mark.parametrize("status", [200, 201, 204])
def test_accepted(status: int) -> None:
    with Hook() as hook:
        hook.answer = status, {}
        send(hook, '{"camera":"front"}')
        assert hook.bodies == [{"camera": "front"}]


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        pytest.param(429, {"Retry-After": "7"}, 7.0, id="too many requests"),
        pytest.param(503, {}, 0.0, id="no wait asked for"),
        pytest.param(500, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0, id="a date is ignored"),
        pytest.param(500, {"Retry-After": "9" * 30}, 0.0, id="absurd"),
    ],
)
def test_try_later(status: int, headers: dict[str, str], wait_s: float) -> None:
    with Hook() as hook:
        hook.answer = status, headers
        with pytest.raises(NotNow, match=f"{hook.origin} answered {status}") as caught:
            send(hook)
    assert caught.value.retry_after_s == wait_s


@pytest.mark.parametrize("status", [301, 400, 401, 404])
def test_refused_for_good(status: int) -> None:
    with Hook() as hook:
        hook.answer = status, {"Location": "http://elsewhere/secret"}
        with pytest.raises(RefusedForGood, match=f"answered {status}") as caught:
            send(hook)
    assert "secret" not in str(caught.value)


def test_no_connection_is_tried_later_without_showing_the_secret() -> None:
    url = f"http://127.0.0.1:{free_port()}/very-secret"
    with pytest.raises(NotNow, match=r"^http://127\.0\.0\.1:\d+: ") as caught:
        JsonPost(WebhookConfig(url=url), SystemClock()).send("{}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("http://", "needs a host", id="no host"),
        pytest.param("http://me:pass@host/", "use token_file", id="login"),
        pytest.param("http://host:99999999/", "is not valid|expected 1 to 65535", id="port"),
    ],
)
def test_addresses_that_cannot_be_used(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_webhook_url(url)
