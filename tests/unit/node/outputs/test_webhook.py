"""The webhook output against real addresses, which are slow, refuse, break and die."""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_autotuner.config.node import WebhookConfig
from edge_autotuner.core import Backoff, FakeClock
from edge_autotuner.node.outputs.webhook import FRESH_S, WebhookOutput
from support.service.certificates import make_certificate
from support.service.output_samples import FRONT, GARAGE, Hook, make_report, wait_until

pytest.importorskip("httpx2")


def impatient() -> Backoff:
    """Return short waits between attempts."""
    return Backoff(0.02, 0.1)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with key and certificate of 127.0.0.1, which is its own authority."""
    return make_certificate(tmp_path / "server.pem", "127.0.0.1")


@contextlib.contextmanager
def posting(hook: Hook, *, clock: FakeClock | None = None, **settings: object) -> Iterator[WebhookOutput]:
    config = WebhookConfig.model_validate({"url": hook.url, "min_gap_s": 0.001} | settings)
    output = WebhookOutput(config, [FRONT, GARAGE], clock=clock, backoff=impatient())
    try:
        yield output
    finally:
        output.close()


def counts_of(hook: Hook) -> list[int]:
    return [len(body["objects"]) for body in hook.bodies]


def test_changes_are_posted(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    with Hook() as hook, posting(hook, token_file=tmp_path / "token") as output:
        for index, class_ids in enumerate([(), (0,), (0,), (0, 0)]):
            output.take(make_report(*class_ids, index=index))
            wait_until(lambda index=index: len(hook.bodies) == min(index + 1, 2) + (index == 3))
        assert hook.bodies[-1] == make_report(0, 0, index=3).to_json()
        assert hook.headers["Authorization"] == "Bearer hunter2"
        assert hook.headers["Content-Type"] == "application/json"
        wait_until(lambda: output.status.n_sent == 3)
    assert counts_of(hook) == [0, 1, 2]


def test_the_newest_waits_for_the_gap() -> None:
    clock = FakeClock()
    with Hook() as hook, posting(hook, clock=clock, min_gap_s=10, when="detection") as output:
        output.take(make_report(0))
        wait_until(lambda: hook.bodies)
        for n in (2, 3, 4):
            output.take(make_report(*[0] * n))
        output.take(make_report(0, camera="garage.2"))
        wait_until(lambda: len(hook.bodies) == 2)  # the other camera does not wait
        clock.advance(10.0)
        output.take(make_report(camera="garage.2"))  # wakes the thread, whose clock it does not see
        wait_until(lambda: len(hook.bodies) == 3)
    assert counts_of(hook) == [1, 1, 4]
    assert output.status.n_dropped == 0


def test_what_waits_is_posted_at_the_end() -> None:
    with Hook() as hook:
        with posting(hook, min_gap_s=3600) as output:
            output.take(make_report(0))
            wait_until(lambda: hook.bodies)
            output.take(make_report(0, 0))
        assert counts_of(hook) == [1, 2]


def test_an_address_that_died_gets_the_newest_when_it_lives_again() -> None:
    with Hook() as hook, posting(hook) as output:
        output.take(make_report(0))
        wait_until(lambda: output.status.n_sent == 1)
        hook.stop()
        for n in (2, 3, 4):
            output.take(make_report(*[0] * n))
        wait_until(lambda: output.status.n_failures >= 3)
        assert f"{hook.origin}: connection refused" in str(output.status.problem)
        hook.start()
        wait_until(lambda: output.status.n_sent == 2)
        assert output.status.problem is None
    assert counts_of(hook) == [1, 4]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_answer_that_asks_for_patience_is_tried_again(status: int) -> None:
    with Hook() as hook, posting(hook) as output:
        hook.answer = status, {"Retry-After": "0"}
        output.take(make_report(0))
        wait_until(lambda: hook.n_requests >= 3)
        hook.answer = 200, {}
        wait_until(lambda: output.status.n_sent == 1)
        assert output.status.n_dropped == 0
        assert output.status.last_error == f"{hook.url.partition('/hooks')[0]} answered {status}"
    assert counts_of(hook) == [1]


def test_the_wait_that_an_answer_asks_for_is_kept() -> None:
    clock = FakeClock()
    with Hook() as hook, posting(hook, clock=clock) as output:
        hook.answer = 429, {"Retry-After": "20"}
        output.take(make_report(0))
        wait_until(lambda: output.status.n_failures == 1)
        clock.advance(19.9)
        output.take(make_report(0, 0))
        wait_until(lambda: output.status.n_dropped == 1)  # the first, which this one replaces
        hook.answer = 200, {}
        clock.advance(0.1)
        output.take(make_report(0, 0, 0))
        wait_until(lambda: output.status.n_sent == 1)
        assert hook.n_requests == 2
    assert counts_of(hook) == [3]


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404])
def test_a_refusal_is_final(status: int) -> None:
    with Hook() as elsewhere, Hook() as hook, posting(hook) as output:
        hook.answer = status, {"Location": elsewhere.url}
        output.take(make_report(0))
        wait_until(lambda: output.status.n_dropped == 1)
        output.take(make_report(0, index=1))  # no change
        output.take(make_report(0, camera="garage.2"))
        wait_until(lambda: output.status.n_dropped == 2)
        hook.answer = 200, {}
        output.take(make_report(0, 0, index=2))
        wait_until(lambda: output.status.n_sent == 1)
        assert hook.n_requests == 3
        assert elsewhere.n_requests == 0
    assert counts_of(hook) == [2]


def test_stale_reports_are_dropped() -> None:
    clock = FakeClock()
    with Hook() as hook, posting(hook, clock=clock, when="detection") as output:
        hook.answer = 503, {}
        output.take(make_report(0))
        wait_until(lambda: output.status.n_failures >= 1)
        clock.advance(FRESH_S)
        hook.answer = 200, {}
        output.take(make_report(0, camera="garage.2", index=1))
        wait_until(lambda: output.status.n_sent == 1)
        assert output.status.n_dropped == 1
    assert [body["camera"] for body in hook.bodies] == ["garage.2"]


def test_an_address_that_never_answers_delays_nothing() -> None:
    with Hook() as hook:
        hook.gate.clear()
        with posting(hook, timeout_s=0.2, when="detection") as output:
            output.take(make_report(0))
            wait_until(lambda: hook.n_requests)
            for index in range(5000):
                output.take(make_report(0, index=index))
            wait_until(lambda: output.status.n_failures >= 2)
            hook.gate.set()
            wait_until(lambda: output.status.n_sent >= 1)
            assert output.status.n_dropped > 4000


def test_nothing_secret_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "token").write_text("hunter2")
    with caplog.at_level(logging.DEBUG), Hook() as hook, posting(hook, token_file=tmp_path / "token") as output:
        output.take(make_report(0))
        wait_until(lambda: output.status.n_sent == 1)
        hook.answer = 404, {}
        output.take(make_report(0, 0))
        wait_until(lambda: output.status.n_failures)
        hook.stop()
        output.take(make_report())
        wait_until(lambda: "refused" in str(output.status.problem))
    assert "secret" not in caplog.text + str(output.status)
    assert "hunter2" not in caplog.text


def test_certificates_of_addresses_are_checked(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Hook(context) as hook:
        with posting(hook) as output:
            output.take(make_report(0))
            wait_until(lambda: output.status.problem)
            assert "its certificate is not valid: self-signed certificate" in str(output.status.problem)
        with posting(hook, ca_file=certificate) as output:
            output.take(make_report(0))
            wait_until(lambda: output.status.n_sent == 1)
    assert counts_of(hook) == [1]
