"""With the reserve of the disk gone, what adds something is refused, and what frees or decides goes on: every route."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.server.access import SCOPES, Caller
from edge_autotuner.server.api_page import describe_api
from edge_autotuner.storage import DiskReserve
from support.service.job_parts import NODE, JobParts, open_jobs
from support.service.registry_samples import add_bundle, description
from support.service.service_samples import make_services, png, running

NEW = b"a new content"


class Everybody:
    """Knows one client, which may do everything."""

    async def recognise(self, _token: str) -> Caller:
        return Caller("node", frozenset(SCOPES))


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[JobParts]:
    made = open_jobs(tmp_path / "jobs")
    yield made
    made.parts.close()


def requests(jobs: JobParts) -> dict[str, tuple[int, str, dict[str, Any]]]:
    """Return a request for every route that is no GET: status with a full disk, address, and the rest.

    A new route belongs here: what it adds must be refused (507), or its work must be what the reserve is for.
    """
    first, second, third = (add_bundle(jobs.parts, name=f"n{n}", model=bytes([n])) for n in range(3))
    for bundle in (first, second):
        jobs.parts.registry.promote("gate", bundle, client="c")
    queued = jobs.add("queued")
    sha256 = hashlib.sha256(NEW).hexdigest()
    new = jobs.request("new").model_dump(mode="json")
    picture = {"content": png(), "headers": {"Content-Type": "image/png"}}
    form = {"files": {"pictures": ("p.png", png(), "image/png")}}
    annotations, bundles = "/models/{model}/annotations", "/cameras/{camera}/bundles"
    return {
        f"POST {annotations}": (200, "/models/stub/annotations", picture),
        f"POST {annotations}/batch": (200, "/models/stub/annotations/batch", form),
        "POST /blobs/missing": (200, "/blobs/missing", {"json": {"sha256": [sha256]}}),
        "PUT /blobs/{sha256}": (507, f"/blobs/{sha256}", {"content": NEW}),
        "PUT /cameras/{camera}": (507, "/cameras/new", {"json": {}}),
        f"POST {bundles}": (507, "/cameras/gate/bundles", {"json": {"description": description("other")}}),
        f"POST {bundles}/{{bundle_id}}/promote": (200, f"/cameras/gate/bundles/{third}/promote", {}),
        "POST /cameras/{camera}/rollback": (200, "/cameras/gate/rollback", {"json": {"leaving": third}}),
        f"POST {bundles}/{{bundle_id}}/archive": (200, f"/cameras/gate/bundles/{third}/archive", {}),
        "POST /collect-garbage": (200, "/collect-garbage", {"json": {}}),
        "POST /jobs/tune": (507, "/jobs/tune", {"json": new}),
        "POST /jobs/{job_id}/cancel": (200, f"/jobs/{queued}/cancel", {}),
    }  # fmt: skip


def test_every_route_says_what_it_does_on_a_full_disk(jobs: JobParts, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = requests(jobs)
    described = {
        f"{method.upper()} {path.removeprefix('/v1')}"
        for path, operations in describe_api()["paths"].items()
        for method in operations
        if method != "get"
    }
    assert set(asked) == described

    async def ask_all() -> dict[str, int]:
        services = make_services(jobs.queue._folder / "data")
        services.jobs, services.blobs, services.registry = jobs.store, jobs.parts.blobs, jobs.parts.registry
        services.authenticator = Everybody()
        answers = {}
        async with running(services) as client:
            monkeypatch.setattr(DiskReserve, "has_room", lambda *_: False)
            for route, (_, url, rest) in asked.items():
                reply = await client.request(route.partition(" ")[0], url, **rest)
                answers[route] = reply.status_code
        return answers

    assert asyncio.run(ask_all()) == {route: status for route, (status, _, _) in asked.items()}
    assert not jobs.parts.blobs.path(hashlib.sha256(NEW).hexdigest()).exists()
    assert [job.key for job in jobs.store.list(NODE, camera=None, state=None, limit=9)] == ["queued"]
    assert {camera.camera for camera in jobs.parts.registry.cameras()} == {"gate"}
