"""What holds for every route, whatever it does: access before the body, small bodies, and clients that go away."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Message

from edge_autotuner.config.server import ServerConfig
from edge_autotuner.server.access import Caller, Scope
from edge_autotuner.server.annotation.models import LoadedModel
from edge_autotuner.server.api_page import describe_api
from edge_autotuner.server.app import create_app
from edge_autotuner.server.services import Services, open_services
from support.service.service_samples import MODEL_SHA256, WAIT_S, StubDetector

OPEN = {("GET", "/v1/health"), ("GET", "/v1/ready")}
"""Need no token."""

NO_BODY = "none"
BODIES = {
    ("POST", "/v1/models/{model}/annotations"): "image/png",
    ("POST", "/v1/models/{model}/annotations/batch"): "multipart/form-data; boundary=b",
    ("POST", "/v1/blobs/missing"): "application/json",
    ("PUT", "/v1/blobs/{sha256}"): "application/octet-stream",
    ("PUT", "/v1/cameras/{camera}"): "application/json",
    ("POST", "/v1/cameras/{camera}/bundles"): "application/json",
    ("POST", "/v1/jobs/tune"): "application/json",
}
"""What reads a body, and of which type."""

ROUTES = sorted((method.upper(), path) for path, operations in describe_api()["paths"].items() for method in operations)
SCOPES: tuple[Scope, ...] = ("annotate", "train", "deploy", "admin")


class AnyTokens:
    """Knows a token for each scope, one for none, and all of them as `all`."""

    async def recognise(self, token: str) -> Caller | None:
        scopes: dict[str, tuple[Scope, ...]] = {"none": (), "all": SCOPES, **{scope: (scope,) for scope in SCOPES}}
        return Caller("cam", frozenset(scopes[token])) if token in scopes else None


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    config = ServerConfig.model_validate(
        {"data": tmp_path_factory.mktemp("service"), "models": {"stub": {"source": "stub"}}}
    )
    model = LoadedModel(StubDetector(), MODEL_SHA256, "settings")
    made = open_services(config, loaders={"stub": lambda: model})
    made.authenticator = AnyTokens()
    yield made
    made.close()


@pytest.fixture(scope="module")
def app(services: Services) -> FastAPI:
    return create_app(services)


class Exchange:
    """One request of a client that sends these pieces and then goes away."""

    def __init__(self, route: tuple[str, str], token: str | None, *pieces: bytes, kind: str = NO_BODY) -> None:
        method, path = route
        for name, value in (("sha256", "a" * 64), ("model", "stub")):
            path = path.replace(f"{{{name}}}", value)
        path = path.replace("{camera}", "gate").replace("{bundle_id}", "b1").replace("{job_id}", "j1")
        headers = [(b"content-type", kind.encode())] if kind != NO_BODY else []
        if token is not None:
            headers.append((b"authorization", f"Bearer {token}".encode()))
        self.scope: dict[str, Any] = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": headers, "scheme": "http", "http_version": "1.1", "state": {}, "root_path": "",
            "server": ("service", 80), "client": ("client", 1), "asgi": {"version": "3.0", "spec_version": "2.3"},
        }  # fmt: skip
        self._pieces = list(pieces)
        self.n_read = 0
        self.answers: list[Message] = []

    async def receive(self) -> Message:
        self.n_read += 1
        if self._pieces:
            return {"type": "http.request", "body": self._pieces.pop(0), "more_body": True}
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.answers.append(message)

    @property
    def status(self) -> int | None:
        return int(self.answers[0]["status"]) if self.answers else None


def play(app: FastAPI, exchange: Exchange) -> Exchange:
    async def run() -> None:
        async with asyncio.timeout(WAIT_S):
            await app(exchange.scope, exchange.receive, exchange.send)

    asyncio.run(run())
    return exchange


def api_routes(routes: list[Any]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):  # FastAPI keeps an included router as one entry
            yield from api_routes(route.original_router.routes)


def test_every_route_is_described_and_looked_at(app: FastAPI) -> None:
    found = list(api_routes(list(app.routes)))
    assert len(found) == len(ROUTES)
    assert set(BODIES) <= set(ROUTES)
    described = describe_api()["paths"]
    with_body = {(m, p) for m, p in ROUTES if "requestBody" in described[p][m.lower()]}
    assert with_body == set(BODIES), "a route that reads a body has a row in BODIES"


def test_the_framework_reads_no_body(app: FastAPI) -> None:
    """It would read and decode all of it before it looks who is asking."""
    assert [route.path for route in api_routes(list(app.routes)) if route.body_field is not None] == []


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
@pytest.mark.parametrize("token", [None, "unknown", "none"])
def test_access_is_decided_before_a_byte_is_read(app: FastAPI, route: tuple[str, str], token: str | None) -> None:
    if route in OPEN:
        return
    seen = play(app, Exchange(route, token, b'{"a":', kind=BODIES.get(route, NO_BODY)))
    assert (seen.status, seen.n_read) == (403 if token == "none" else 401, 0)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_only_bodies_that_are_needed_are_read(app: FastAPI, route: tuple[str, str]) -> None:
    if route in BODIES or route == ("GET", "/v1/blobs/{sha256}"):
        return
    seen = play(app, Exchange(route, "all", b"x" * 1000))
    assert seen.status is not None
    assert seen.n_read == 0


@pytest.mark.parametrize("route", [route for route, kind in BODIES.items() if kind == "application/json"], ids=" ".join)
def test_a_message_is_read_to_its_own_limit_only(app: FastAPI, route: tuple[str, str]) -> None:
    """The limit of pictures is larger; a message that announces too much is not read at all."""
    pieces = [b" " * (1 << 20)] * 15
    seen = play(app, Exchange(route, "all", *pieces, kind="application/json"))
    assert seen.status == 413
    assert seen.n_read <= 6
    announced = Exchange(route, "all", *pieces, kind="application/json")
    announced.scope["headers"].append((b"content-length", b"15000000"))
    assert (play(app, announced).status, announced.n_read) == (413, 0)


@pytest.mark.parametrize("route", [route for route, kind in BODIES.items() if kind == "application/json"], ids=" ".join)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", NO_BODY])
def test_a_message_of_another_type_is_not_read(app: FastAPI, route: tuple[str, str], kind: str) -> None:
    seen = play(app, Exchange(route, "all", b"{}", kind=kind))
    assert (seen.status, seen.n_read) == (415, 0)


def test_too_many_headers_and_a_long_address_are_refused_by_every_route(app: FastAPI) -> None:
    for route in ROUTES:
        many = Exchange(route, "all")
        many.scope["headers"] += [(b"x", b"y")] * 100
        long = Exchange(route, "all")
        long.scope["query_string"] = b"a=1&" * 2048
        assert [(play(app, one).status, one.n_read) for one in (many, long)] == [(431, 0), (414, 0)]


def counted(services: Services, status: str) -> float:
    return sum(
        sample.value
        for metric in services.metrics.requests.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["status"] == status
    )


@pytest.mark.parametrize("pieces", [(), (b"--b\r\n",)], ids=["at once", "in the middle"])
@pytest.mark.parametrize("route", BODIES, ids=" ".join)
def test_a_client_that_goes_away_is_no_error(
    app: FastAPI,
    services: Services,
    route: tuple[str, str],
    pieces: tuple[bytes, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = counted(services, "499"), counted(services, "500")
    with caplog.at_level(logging.INFO):
        play(app, Exchange(route, "all", *pieces, kind=BODIES[route]))
    assert (counted(services, "499"), counted(services, "500")) == (before[0] + 1, before[1])
    assert [record for record in caplog.records if record.levelno > logging.INFO or record.exc_info] == []
    assert [record for record in caplog.records if "status=499" in record.getMessage()]


@pytest.mark.parametrize("n_taken", [1, 2], ids=["only the headers", "one block"])
def test_a_client_that_does_not_wait_for_its_download_is_no_error(
    app: FastAPI, services: Services, caplog: pytest.LogCaptureFixture, n_taken: int
) -> None:
    assert services.blobs is not None
    sha256 = services.blobs.store(b"x" * 3_000_000)

    class Leaving(Exchange):
        async def receive(self) -> Message:
            while len(self.answers) < n_taken:
                await asyncio.sleep(0)
            return {"type": "http.disconnect"}

        async def send(self, message: Message) -> None:
            self.answers.append(message)
            if len(self.answers) == n_taken:
                await asyncio.Event().wait()  # nothing is taken any more

    before = counted(services, "499"), counted(services, "500")
    exchange = Leaving(("GET", f"/v1/blobs/{sha256}"), "all")
    with caplog.at_level(logging.INFO):
        play(app, exchange)
    assert exchange.status == 200
    assert (counted(services, "499"), counted(services, "500")) == (before[0] + 1, before[1])
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
    assert not [link for link in Path("/proc/self/fd").iterdir() if sha256 in _target(link)], "the file is closed"


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""  # closed since it was listed


@pytest.fixture(autouse=True)
def _no_leftovers(services: Services) -> Iterator[None]:
    yield
    assert services.blobs is not None
    folder: Path = services.config.data / "blobs" / "incoming"
    assert list(folder.iterdir()) == []
