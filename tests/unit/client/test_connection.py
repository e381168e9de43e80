"""What is asked again and what is not, how long anything may take, and what never leaves this side."""

from __future__ import annotations

import gzip
import inspect
import json
import logging
import os
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from edge_autotuner.cli.loading import connected
from edge_autotuner.client import Connection, path_of
from edge_autotuner.client.connection import ApiRequest
from edge_autotuner.client.replies import http_errors, read_json
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core import Deadline, FakeClock
from edge_autotuner.core.json_limits import JsonLimits
from edge_autotuner.errors import (
    ConfigError,
    EdgeAutotunerError,
    ServiceBadReply,
    ServiceBusy,
    ServiceError,
    ServiceRefused,
    ServiceUnreachable,
)
from edge_autotuner.wire.messages import Reply
from support.service.scripted_server import ScriptedServer, read_request, reply, sending

URL = "https://teacher.example/lab"
Handler = Callable[[httpx2.Request], httpx2.Response]


class Number(Reply):
    n: int


GOOD = {"json": {"n": 7}}


class OnTheWire(httpx2.SyncByteStream):
    """A body that has not been read yet."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content


class Asked:
    """A connection to a function, with a clock of its own; keeps what was asked and waited."""

    def __init__(self, *answers: Any, **settings: Any) -> None:
        self.requests: list[httpx2.Request] = []
        self.waits: list[float] = []
        self.clock = FakeClock()
        self._answers = answers
        self.connection = Connection(
            ServiceConfig(**{"url": URL, "max_attempts": 4} | settings),
            clock=self.clock,
            sleep=self._sleep,
            rng=random.Random(1),
            transport=httpx2.MockTransport(self._answer),
        )

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(seconds)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        status, arguments = answer
        made = httpx2.Response(status, **arguments)
        return httpx2.Response(status, headers=made.headers, stream=OnTheWire(made.content))

    def get(self, **arguments: Any) -> Number:
        return self.connection.get_json(path_of("number"), Number, **arguments)


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGE_AUTOTUNER_TOKEN", raising=False)


def test_a_question_and_its_answer() -> None:
    asked = Asked((200, GOOD))
    assert asked.get(query={"a": 1.5, "b": "x&y"}) == Number(n=7)
    (request,) = asked.requests
    assert str(request.url) == "https://teacher.example/lab/v1/number?a=1.5&b=x%26y"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"].startswith("edge-autotuner/")
    assert asked.waits == []


def test_there_is_no_connection_to_nowhere() -> None:
    with pytest.raises(ConfigError, match=r"set annotation\.service\.url$"):
        Connection(ServiceConfig())


def test_advice_names_the_setting_that_the_user_has() -> None:
    moved = httpx2.MockTransport(lambda _: httpx2.Response(301, headers={"Location": "https://other.example"}))
    registry = "registry.service.{}".format
    with pytest.raises(ConfigError, match=r"set registry\.service\.url$"):
        Connection(ServiceConfig(), setting_of=registry)
    refused = pytest.raises(ServiceBadReply, match=r"set registry\.service\.url to the real address")
    with Connection(ServiceConfig(url=URL), transport=moved, setting_of=registry) as connection, refused:
        connection.get_json(path_of("number"), Number)
    with connected(URL, None, None) as connection:
        assert connection._setting_of("ca_file") == "--ca-file"


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_a_path_stays_in_its_place(segment: str) -> None:
    with pytest.raises(ConfigError, match="cannot be requested"):
        path_of("models", segment, "annotations")


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param((502, {}), id="502"),
        pytest.param((503, {}), id="503"),
        pytest.param((504, {}), id="504"),
        pytest.param((507, {}), id="its disk is full"),
        pytest.param((408, {}), id="408"),
        pytest.param((429, {}), id="429"),
        pytest.param(httpx2.ConnectError("refused"), id="refused"),
        pytest.param(httpx2.ConnectTimeout("slow"), id="no connection"),
        pytest.param(httpx2.ReadTimeout("slow"), id="silent"),
        pytest.param(httpx2.WriteTimeout("slow"), id="does not listen"),
        pytest.param(httpx2.ReadError("reset"), id="reset"),
        pytest.param(httpx2.RemoteProtocolError("cut"), id="cut"),
    ],
)
def test_what_may_pass_is_tried_again(failure: Any) -> None:
    asked = Asked(failure, failure, (200, GOOD))
    assert asked.get() == Number(n=7)
    assert len(asked.requests) == 3
    asked = Asked(failure)
    with pytest.raises(ServiceUnreachable):
        asked.get()
    assert (len(asked.requests), len(asked.waits)) == (4, 3)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param((400, {}), ServiceRefused, id="400"),
        pytest.param((401, {}), ServiceRefused, id="401"),
        pytest.param((403, {}), ServiceRefused, id="403"),
        pytest.param((404, {}), ServiceRefused, id="404"),
        pytest.param((413, {}), ServiceRefused, id="413"),
        pytest.param((422, {}), ServiceRefused, id="422"),
        pytest.param((301, {"headers": {"Location": "https://other.example"}}), ServiceBadReply, id="redirect"),
        pytest.param((307, {"headers": {"Location": "/elsewhere"}}), ServiceBadReply, id="redirect at home"),
        pytest.param((500, {}), ServiceBadReply, id="500"),
        pytest.param((999, {}), ServiceBadReply, id="no known status"),
        pytest.param((200, {"text": "<html>"}), ServiceBadReply, id="not JSON"),
        pytest.param((200, {"json": {"m": 7}}), ServiceBadReply, id="another message"),
        pytest.param((200, {"json": {"n": "7"}}), ServiceBadReply, id="another type"),
        pytest.param(
            (200, {"content": b'{"n": 7', "headers": {"Content-Type": "application/json"}}), ServiceBadReply, id="half"
        ),
    ],
)
def test_what_will_not_pass_is_asked_once(answer: Any, error: type[EdgeAutotunerError]) -> None:
    asked = Asked(answer)
    with pytest.raises(error) as caught:
        asked.get()
    assert type(caught.value) is error
    assert len(asked.requests) == 1


def test_a_refusal_says_why() -> None:
    problem = {"type": "unknown-model", "title": "Not Found", "status": 404, "detail": "no model\nx\x1b[2J\u202e"}
    with pytest.raises(ServiceRefused) as caught:
        Asked((404, {"json": problem})).get(query={"q": "1"})
    assert (caught.value.status, caught.value.kind) == (404, "unknown-model")
    assert str(caught.value) == "GET https://teacher.example/lab/v1/number answered 404: no model x\\x1b[2J\\u202e"


def test_a_proxy_that_takes_no_large_body_is_named() -> None:
    with pytest.raises(ServiceRefused, match=r"answered 413: a proxy before the service rejects bodies of this size"):
        Asked((413, {"text": "<html>413 Request Entity Too Large</html>"})).get()


def test_waits_are_drawn_below_a_limit_that_doubles() -> None:
    highest = [0.0] * 6
    for seed in range(60):
        asked = Asked((503, {}), max_attempts=7, first_retry_s=1.0, longest_retry_s=10.0)
        asked.connection._rng = random.Random(seed)
        with pytest.raises(ServiceUnreachable):
            asked.get()
        highest = [max(pair) for pair in zip(highest, asked.waits, strict=True)]
    for seen, limit in zip(highest, (1.0, 2.0, 4.0, 8.0, 10.0, 10.0), strict=True):
        assert 0.8 * limit < seen <= limit


@pytest.mark.parametrize("value", ["7", "Thu, 01 Jan 2026 00:00:07 GMT"])
def test_the_service_says_when_to_ask_again(value: str) -> None:
    asked = Asked((429, {"headers": {"Retry-After": value}}), (200, GOOD), first_retry_s=0.5)
    asked.get()
    assert 7.0 <= asked.waits[0] <= 7.5


@pytest.mark.parametrize(
    "value", ["soon", "-3", "", "99999999999", "Thu, 01 Jan 2026", f"Thu, 01 Jan 2026 00:00:07 +{'9' * 20}", b"\xb2"]
)
def test_nonsense_about_when_to_ask_again(value: str | bytes) -> None:
    asked = Asked((503, {"headers": {"Retry-After": value}}), (200, GOOD))
    asked.get()
    assert asked.waits[0] <= 0.5


def test_a_service_that_wants_a_long_rest_is_given_up_for_now() -> None:
    asked = Asked((429, {"headers": {"Retry-After": "3600"}}), longest_retry_s=60)
    with pytest.raises(ServiceBusy) as caught:
        asked.get()
    assert caught.value.retry_after_s == 3600
    assert (len(asked.requests), asked.waits) == (1, [])


def test_no_attempt_begins_after_the_deadline() -> None:
    asked = Asked((503, {}), max_attempts=100, first_retry_s=4.0)
    deadline = Deadline(10.0, asked.clock)
    with pytest.raises(ServiceUnreachable):
        asked.get(deadline=deadline)
    assert deadline.has_passed
    assert asked.clock.elapsed_s == pytest.approx(10.0)
    assert sum(asked.waits) == pytest.approx(10.0)
    assert len(asked.requests) == len(asked.waits)


def lines_of(asked: Asked, caplog: pytest.LogCaptureFixture) -> list[str]:
    with caplog.at_level(logging.DEBUG), pytest.raises(ServiceUnreachable):
        asked.get()
    return [record.getMessage() for record in caplog.records if record.name.startswith("edge_autotuner")]


def test_each_new_attempt_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    lines = lines_of(Asked(httpx2.ReadError("reset"), max_attempts=3), caplog)
    assert [line.partition(" in ")[0] for line in lines] == [
        "the connection to https://teacher.example/lab was interrupted (reset); attempt 2 of 3",
        "the connection to https://teacher.example/lab was interrupted (reset); attempt 3 of 3",
    ]


def test_a_token_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("EDGE_AUTOTUNER_TOKEN", "very-secret")
    asked = Asked((503, {"json": {}}), max_attempts=2)
    lines = lines_of(asked, caplog)
    assert [request.headers["authorization"] for request in asked.requests] == ["Bearer very-secret"] * 2
    assert "very-secret" not in "".join(lines) + caplog.text
    assert "very-secret" not in repr(asked.connection)


def test_a_new_token_counts_at_once(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text("first")
    asked = Asked((200, GOOD), token_file=path)
    asked.get()
    path.write_text("second")
    asked.get()
    assert [request.headers["authorization"] for request in asked.requests] == ["Bearer first", "Bearer second"]


def test_a_token_does_not_follow_to_another_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AUTOTUNER_TOKEN", "very-secret")
    other = sending(reply(b'{"n": 1}'))
    with ScriptedServer(other) as thief:
        away = reply(b"", status="307 Away", headers=f"Location: {thief.url}/v1/number")
        with pytest.raises(ServiceBadReply, match=f"answered 307: it redirects to {thief.url}"):
            once(sending(away))
        assert thief.n_connections == 0


def test_settings_of_the_environment_do_not_redirect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password very-secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    seen: list[bytes] = []

    def script(link: socket.socket) -> None:
        seen.append(read_request(link))
        link.sendall(reply(b'{"n": 1}'))

    with ScriptedServer(sending(reply(b'{"n": 2}'))) as proxy, ScriptedServer(script) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with Connection(ServiceConfig(url=server.url)) as connection:
            assert connection.get_json("/number", Number).n == 1
        assert proxy.n_connections == 0
    assert b"authorization" not in seen[0].lower()


def once(script: Any, **settings: Any) -> Any:
    """Ask a scripted server once."""
    config = {"max_attempts": 1, "read_timeout_s": 60, "request_timeout_s": 60} | settings
    with ScriptedServer(script) as server, Connection(ServiceConfig(url=server.url, **config)) as connection:
        return connection.get_json("/number", Number, limits=JsonLimits(max_bytes=1000, max_items=10))


def test_connections_are_kept() -> None:
    def script(link: socket.socket) -> None:
        while read_request(link):
            link.sendall(reply(b'{"n": 3}'))

    with ScriptedServer(script) as server, Connection(ServiceConfig(url=server.url)) as connection:
        assert [connection.get_json("/number", Number).n for _ in range(5)] == [3] * 5
        assert server.n_connections == 1


def endless(head: bytes) -> Callable[[socket.socket], None]:
    def script(link: socket.socket) -> None:
        read_request(link)
        link.sendall(head)
        with_length = b"1000\r\n" + b" " * 4096 + b"\r\n" if b"chunked" in head else b" " * 4096
        while True:
            link.sendall(with_length)

    return script


JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(endless(JSON_HEAD + b"\r\n"), id="endless"),
        pytest.param(endless(JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), id="endless, in chunks"),
        pytest.param(endless(JSON_HEAD + b"Content-Length: 99999999999\r\n\r\n"), id="announced"),
        pytest.param(endless(b"HTTP/1.1 404 Not Found\r\n\r\n"), id="endless problem"),
        pytest.param(
            sending(
                reply(
                    gzip.compress(b" " * 10_000_000), headers="Content-Type: application/json\r\nContent-Encoding: gzip"
                )
            ),
            id="a bomb",
        ),
    ],
)
def test_a_reply_cannot_fill_the_memory(script: Any) -> None:
    with pytest.raises((ServiceBadReply, ServiceRefused)) as caught:
        once(script)
    if isinstance(caught.value, ServiceRefused):
        assert str(caught.value).endswith("answered 404: Not Found"), "the status is enough"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Ty", id="half a head"),
        pytest.param(reply(b'{"n": 7}')[:-3], id="half a body"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", id="another protocol"),
        pytest.param(b"\x00" * 300_000, id="rubbish"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200_000, id="a head without end"),
    ],
)
def test_a_reply_that_breaks_off_is_no_reply(sent: bytes) -> None:
    with pytest.raises(ServiceUnreachable, match=r"was interrupted|is not a service"):
        once(sending(sent))


def drip(head: bytes, server: Callable[[], ScriptedServer]) -> Callable[[socket.socket], None]:
    """Send a byte now and then, much more often than the silence that is allowed."""

    def script(link: socket.socket) -> None:
        read_request(link)
        link.sendall(head)
        while not server().stop.wait(0.02):
            link.sendall(b" ")

    return script


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nA: ", JSON_HEAD + b"\r\n"], ids=["in the head", "in the body"])
def test_a_server_that_drips_does_not_keep_the_client(head: bytes) -> None:
    servers: list[ScriptedServer] = []
    with ScriptedServer(drip(head, lambda: servers[0])) as server:
        servers.append(server)
        config = ServiceConfig(url=server.url, max_attempts=1, read_timeout_s=5, request_timeout_s=0.3)
        with Connection(config) as connection, pytest.raises(ServiceUnreachable, match="timed out"):
            connection.get_json("/number", Number)


def test_a_silent_server(caplog: pytest.LogCaptureFixture) -> None:
    servers: list[ScriptedServer] = []

    def script(link: socket.socket) -> None:
        read_request(link)
        servers[0].stop.wait()

    with ScriptedServer(script) as server:
        servers.append(server)
        config = ServiceConfig(url=server.url, max_attempts=2, read_timeout_s=0.1, first_retry_s=0.01)
        with Connection(config) as connection, pytest.raises(ServiceUnreachable, match="timed out"):
            connection.get_json("/number", Number)
        assert server.n_connections == 2


def test_a_deadline_ends_a_wait_for_a_silent_server() -> None:
    servers: list[ScriptedServer] = []

    def script(link: socket.socket) -> None:
        read_request(link)
        servers[0].stop.wait()

    with ScriptedServer(script) as server:
        servers.append(server)
        with Connection(ServiceConfig(url=server.url)) as connection, pytest.raises(ServiceUnreachable):
            connection.get_json("/number", Number, deadline=Deadline(0.2))
        assert server.n_connections == 1


@pytest.mark.parametrize("waits_for", ["the next attempt", "an answer", "the rest of an answer", "the upload limit"])
def test_closing_ends_what_other_threads_wait_for(waits_for: str) -> None:
    asked = threading.Event()
    servers: list[ScriptedServer] = []

    def script(link: socket.socket) -> None:
        if waits_for != "the upload limit":
            read_request(link)
        if waits_for == "the rest of an answer":
            link.sendall(JSON_HEAD + b"\r\n")
        asked.set()
        if waits_for != "the next attempt":
            servers[0].stop.wait()

    long = dict.fromkeys(("first_retry_s", "longest_retry_s", "read_timeout_s", "request_timeout_s"), 1e6)
    errors: list[Exception] = []
    with ScriptedServer(script) as server:
        servers.append(server)
        connection = Connection(ServiceConfig(url=server.url, max_upload_kbps=1, **long))

        def ask() -> None:
            try:
                connection.post_bytes("/number", bytes(1_000_000), "text/plain", Number)
            except ServiceError as exc:
                errors.append(exc)

        def ask_small() -> None:
            try:
                connection.get_json("/number", Number)
            except ServiceError as exc:
                errors.append(exc)

        thread = threading.Thread(target=ask if waits_for == "the upload limit" else ask_small)
        thread.start()
        assert asked.wait(60)
        connection.close()
        thread.join(60)
        assert not thread.is_alive()
    assert [type(error) for error in errors] == [ServiceError]


def test_what_is_not_repeatable_is_not_repeated() -> None:
    ask = ApiRequest("POST", "/rollback", is_repeatable=False)
    unclear = Asked(httpx2.ReadError("reset"))
    with pytest.raises(ServiceUnreachable, match="may or may not have been done"):
        unclear.connection.call(ask, lambda response: None)
    assert len(unclear.requests) == 1
    for certain in ((503, {}), (429, {}), httpx2.ConnectError("refused")):
        asked = Asked(certain, (200, GOOD))
        assert asked.connection.call(ask, lambda response: read_json(response, Number)).n == 7
        assert len(asked.requests) == 2


def test_a_reader_may_ask_for_another_attempt() -> None:
    asked = Asked((200, GOOD))

    def read(response: httpx2.Response) -> int:
        if len(asked.requests) < 3:
            raise ServiceBusy("not all of it was done")
        return len(asked.requests)

    assert asked.connection.call(ApiRequest("GET", "/number"), read) == 3


def test_a_poll_without_news() -> None:
    asked = Asked((204, {}), (200, GOOD))
    assert asked.connection.poll_json("/number", Number, query={"wait_s": 5}, wait_s=5) is None
    assert asked.connection.poll_json("/number", Number, query={"wait_s": 5}, wait_s=5) == Number(n=7)
    usual = ServiceConfig().read_timeout_s
    assert asked.requests[0].extensions["timeout"]["read"] == usual + 5


def test_a_message_is_posted() -> None:
    asked = Asked((201, GOOD))
    assert asked.connection.post_json("/number", Number(n=3), Number, method="PUT") == Number(n=7)
    (request,) = asked.requests
    assert (request.method, request.content) == ("PUT", b'{"n":3}')
    assert request.headers["content-type"] == "application/json"


def test_a_stream_is_opened_anew_for_each_attempt() -> None:
    opened: list[int] = []

    def open_body() -> Iterator[bytes]:
        opened.append(1)
        yield b"abc"
        yield b"def"

    asked = Asked((503, {}), (200, GOOD))
    asked.connection.put_stream("/blob", open_body, 6, Number)
    assert [request.content for request in asked.requests] == [b"abcdef"] * 2
    assert [request.headers["content-length"] for request in asked.requests] == ["6", "6"]
    assert len(opened) == 2


@pytest.mark.parametrize("blocks", [[], [b"abc"], [b"abcdef", b"g"]])
def test_a_stream_of_another_length_is_our_own_mistake(blocks: list[bytes]) -> None:
    def script(link: socket.socket) -> None:
        read_request(link)

    with ScriptedServer(script) as server, Connection(ServiceConfig(url=server.url)) as connection:
        with pytest.raises(ServiceError) as caught:
            connection.put_stream("/blob", lambda: blocks, 6, Number)
        assert type(caught.value) is ServiceError
        assert server.n_connections <= 1, "not tried again"


def test_an_upload_keeps_to_its_budget() -> None:
    received: list[bytes] = []

    def script(link: socket.socket) -> None:
        received.append(read_request(link))
        link.sendall(reply(b'{"n": 1}'))

    clock = FakeClock()
    body = os.urandom(100_000)
    with ScriptedServer(script) as server:
        config = ServiceConfig(url=server.url, max_upload_kbps=80)  # 10,000 bytes per second
        with Connection(config, clock=clock, sleep=clock.advance) as connection:
            connection.post_bytes("/blob", body, "application/octet-stream", Number)
    assert received[0].endswith(body)
    assert clock.elapsed_s == pytest.approx((len(received[0]) - 2500) / 10_000, abs=0.01), "but for the first burst"
    assert clock.elapsed_s > 9


def test_waits_for_the_budget_are_not_held_against_the_service() -> None:
    clock = FakeClock()
    with ScriptedServer(sending(reply(b'{"n": 1}'))) as server:
        config = ServiceConfig(url=server.url, max_upload_kbps=8, request_timeout_s=5, max_attempts=1)
        with Connection(config, clock=clock, sleep=clock.advance) as connection:
            connection.post_bytes("/blob", bytes(20_000), "application/octet-stream", Number)
            with pytest.raises(ServiceUnreachable, match="upload limit allows"):
                connection.post_bytes("/blob", bytes(20_000), "text/plain", Number, deadline=Deadline(10, clock))


def test_tls_with_an_authority_of_ones_own(tmp_path: Path) -> None:
    authority, certificate = self_signed(tmp_path / "a"), self_signed(tmp_path / "b")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)

    def script(link: socket.socket) -> None:
        with context.wrap_socket(link, server_side=True) as secured:
            read_request(secured)
            secured.sendall(reply(b'{"n": 1}'))

    with ScriptedServer(script) as server:
        url = server.url.replace("http", "https")
        with Connection(ServiceConfig(url=url, ca_file=authority)) as connection:
            assert connection.get_json("/number", Number).n == 1
        for config in (ServiceConfig(url=url, ca_file=certificate), ServiceConfig(url=url)):
            refused = pytest.raises(
                ServiceError, match=r"failed certificate verification.* set annotation\.service\.ca_file"
            )
            with Connection(config) as connection, refused as caught:
                connection.get_json("/number", Number)
            assert type(caught.value) is ServiceError, "not tried again"
        assert server.n_connections == 3


def self_signed(path: Path) -> Path:
    """Write a certificate for 127.0.0.1 and its key into one file."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, path.name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(certificate.public_bytes(pem) + key.private_bytes(pem, *plain))
    return path


LIBRARY_ERRORS = [
    value
    for value in vars(httpx2).values()
    if inspect.isclass(value) and issubclass(value, Exception) and not issubclass(value, (Warning, EdgeAutotunerError))
]
PROGRAMMING_ERRORS = {"StreamError", "StreamConsumed", "StreamClosed", "ResponseNotRead", "RequestNotRead"}
NOT_OURS = {"CookieConflict", "SSEError"}  # of parts of the library that this package does not use


@pytest.mark.parametrize("error", LIBRARY_ERRORS, ids=lambda error: error.__name__)
def test_every_error_of_the_library_is_translated(error: type[Exception]) -> None:
    if error.__name__ in PROGRAMMING_ERRORS | NOT_OURS or error.__module__ == "httpx2.websockets":
        return
    asked = Asked(made(error), max_attempts=1)
    with pytest.raises(ServiceError):
        asked.get()


def made(error: type[Exception]) -> Exception:
    if issubclass(error, httpx2.HTTPStatusError):
        request = httpx2.Request("GET", URL)
        return error("x", request=request, response=httpx2.Response(500, request=request))
    return error("x")


def test_our_own_errors_pass() -> None:
    with pytest.raises(json.JSONDecodeError), http_errors(URL, ca_setting="ca_file"):
        json.loads("{")
