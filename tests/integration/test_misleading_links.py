"""What stands at an address and answers wrongly is named for what it is: redirects in a circle, other programs, TLS."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_autotuner.capture import open_source
from edge_autotuner.client import Connection
from edge_autotuner.config import StreamConfig
from edge_autotuner.config.node import WebhookConfig
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core import SystemClock
from edge_autotuner.core.progress import NoProgress
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.models.download import download
from edge_autotuner.node.outputs.webhook_post import JsonPost
from edge_autotuner.wire.annotation_messages import ModelList
from support.service.scripted_server import Script, ScriptedServer, read_request, reply, sending

NOT_HTTP = "the response is not valid HTTP"
TOO_LARGE = "the response headers are too large"
HUNG_UP = "connection closed without a response"


def reset(link: socket.socket) -> None:
    read_request(link)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def redirect(location: str) -> Script:
    return sending(reply(b"", status="302 Found", headers=f"Location: {location}"))


def ask_service(url: str, _: Path) -> None:
    config = ServiceConfig(url=url, max_attempts=1, read_timeout_s=5, connect_timeout_s=5)
    with Connection(config) as connection:
        connection.get_json("/models", ModelList)


def post(url: str, _: Path) -> None:
    hook = JsonPost(WebhookConfig(url=f"{url}/hook?key=SECRET", timeout_s=5), SystemClock())
    try:
        hook.send("{}")
    finally:
        hook.close()


def fetch(url: str, folder: Path) -> None:
    https_only, progress = url.startswith("https"), NoProgress()
    address = f"{url}/file?signature=SECRET"
    download(address, folder / "file", sha256=None, max_bytes=1000, progress=progress, https_only=https_only)


def watch(url: str, _: Path) -> None:
    stream = StreamConfig(open_timeout_s=5, read_timeout_s=5, give_up_after_s=0.2, first_retry_s=0.1)
    open_source(f"{url.replace('://', '://admin:SECRET@')}/video?token=SECRET", stream)


CLIENTS: dict[str, Callable[[str, Path], None]] = {
    "service": ask_service,
    "webhook": post,
    "download": fetch,
    "camera": watch,
}
ANSWERS: dict[str, tuple[Script, dict[str, str]]] = {
    "redirects in a circle": (
        redirect("/again?token=SECRET"),
        {
            "service": "redirects to another path of the same host; redirects are not followed",
            "webhook": "redirects to another path of the same host; redirects are not followed",
            "download": "redirects to itself, in a loop or too often",
            "camera": "redirects to another path of the same host, in a loop or too often",
        },
    ),
    "redirects to nonsense": (
        redirect("http://[::1"),
        {"service": "to an invalid URL", "webhook": "to an invalid URL", "download": "or redirects to one that is not"},
    ),
    "redirects to nowhere": (
        sending(reply(b"", status="302 Found")),
        dict.fromkeys(("service", "webhook", "download"), "redirects without a location"),
    ),
    "a head without end": (
        sending(b"HTTP/1.1 200 OK\r\n" + b"".join(b"H%d: %s\r\n" % (n, b"x" * 1000) for n in range(200)) + b"\r\n"),
        dict.fromkeys(CLIENTS, TOO_LARGE),
    ),
    "no header": (
        sending(b"HTTP/1.1 200 OK\r\nbad header\x00\r\n\r\n"),
        dict.fromkeys(("service", "webhook"), NOT_HTTP),
    ),
    "another protocol": (
        sending(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"),
        dict.fromkeys(("service", "webhook"), NOT_HTTP),
    ),
    "silence": (sending(), {"service": HUNG_UP, "webhook": HUNG_UP, "download": HUNG_UP}),
    "reset": (reset, dict.fromkeys(("service", "webhook", "download"), "connection reset")),
    "half a body": (
        sending(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"),
        {
            "service": "was interrupted (the response is incomplete)",
            "download": "was cut off after 1 of 100 bytes",
        },
    ),
}


@pytest.mark.parametrize(("answer", "client"), [(a, c) for a, (_, words) in ANSWERS.items() for c in words])
def test_what_answers_wrongly(answer: str, client: str, tmp_path: Path) -> None:
    script, words = ANSWERS[answer]
    with ScriptedServer(script) as server, pytest.raises(EdgeAutotunerError) as caught:
        CLIENTS[client](server.url, tmp_path)
    assert words[client] in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("client", CLIENTS)
def test_https_where_plain_http_is_spoken(client: str, tmp_path: Path) -> None:
    def speaks_plainly(link: socket.socket) -> None:
        link.recv(10)
        link.sendall(reply(b"", status="400 Bad Request"))

    with ScriptedServer(speaks_plainly) as server, pytest.raises(EdgeAutotunerError) as caught:
        CLIENTS[client](server.url.replace("http:", "https:"), tmp_path)
    assert "the port may use plain HTTP" in str(caught.value)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_name_that_nobody_has(client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(EdgeAutotunerError, match="cannot resolve"):
        CLIENTS[client]("https://no-such-host.invalid", tmp_path)
