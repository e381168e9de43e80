"""The addresses of tuning jobs: statuses, scopes, and what they answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi import Response

from edge_autotuner.server.access import Caller
from edge_autotuner.server.routers.jobs import create_tuning_job
from support.service.job_parts import JobParts, open_jobs
from support.service.service_samples import WAIT_S, make_services, running

Ask = Callable[[httpx2.AsyncClient], Awaitable[None]]


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[JobParts]:
    made = open_jobs(tmp_path / "jobs")
    yield made
    made.parts.close()


def ask(jobs: JobParts, call: Ask, *, token: str = "cam1-train") -> None:
    """Ask an app that has these jobs."""

    async def asking() -> None:
        services = make_services(jobs.queue._folder / "data")
        services.jobs = jobs.store
        services.metrics.watch("jobs", "Tuning jobs by state.", "state", jobs.store.counts)
        async with running(services, token=token) as client:
            await call(client)

    asyncio.run(asking())


def body(jobs: JobParts, **changes: object) -> dict[str, object]:
    return jobs.request(**changes).model_dump(mode="json")  # type: ignore[arg-type]


def test_a_job_from_its_creation_to_its_end(jobs: JobParts) -> None:
    async def call(client: httpx2.AsyncClient) -> None:
        made = await client.post("/jobs/tune", json=body(jobs))
        again = await client.post("/jobs/tune", json=body(jobs))
        assert (made.status_code, again.status_code) == (201, 200)
        assert made.json() == again.json()
        job_id, revision = made.json()["id"], made.json()["revision"]
        assert (await client.get(f"/jobs/{job_id}")).json() == made.json()
        assert (await client.get(f"/jobs/{job_id}", params={"after": revision})).status_code == 204
        events = (await client.get(f"/jobs/{job_id}/events")).json()["events"]
        assert [(event["seq"], event["name"]) for event in events] == [(1, "queued")]
        assert (await client.get(f"/jobs/{job_id}/events", params={"after": 1})).json() == {"events": []}
        cancelled = (await client.post(f"/jobs/{job_id}/cancel")).json()
        assert cancelled["state"] == "cancelled"
        news = await client.get(f"/jobs/{job_id}", params={"after": revision, "wait_s": 60})
        assert news.json() == cancelled
        assert (await client.get("/jobs", params={"state": "cancelled"})).json() == {"jobs": [cancelled]}
        assert (await client.get("/jobs", params={"camera": "elsewhere"})).json() == {"jobs": []}

    ask(jobs, call)


def test_refusals_are_problems(jobs: JobParts) -> None:
    async def call(client: httpx2.AsyncClient) -> None:
        asked = [
            (await client.post("/jobs/tune", json=body(jobs, camera="nowhere")), 404, "unknown-camera"),
            (await client.post("/jobs/tune", json=body(jobs, dataset="ab" * 32)), 409, "blobs-missing"),
            (await client.post("/jobs/tune", json=body(jobs, settings={"x": 1})), 422, "bad-settings"),
            (await client.get("/jobs/j0"), 404, "unknown-job"),
            (await client.post("/jobs/j0/cancel"), 404, "unknown-job"),
            (await client.get("/jobs/j0/events"), 404, "unknown-job"),
        ]
        for reply, status, kind in asked:
            assert (reply.status_code, reply.json()["type"]) == (status, kind)
        assert (await client.post("/jobs/tune", json={**body(jobs), "start": {"path": "/etc"}})).status_code == 422
        assert (await client.get("/jobs/..%2fetc")).status_code in (404, 422)

    ask(jobs, call)


def test_the_quota_says_when_to_try_again(tmp_path: Path) -> None:
    jobs = open_jobs(tmp_path, max_unfinished=1)

    async def call(client: httpx2.AsyncClient) -> None:
        assert (await client.post("/jobs/tune", json=body(jobs))).status_code == 201
        refused = await client.post("/jobs/tune", json=body(jobs, key="more"))
        assert (refused.status_code, refused.json()["type"]) == (429, "too-many-jobs")
        assert int(refused.headers["Retry-After"]) > 0

    ask(jobs, call)
    jobs.parts.close()


def test_other_scopes_and_clients_see_nothing(jobs: JobParts) -> None:
    job_id = jobs.add(client="somebody")

    async def without_scope(client: httpx2.AsyncClient) -> None:
        assert (await client.get("/jobs")).status_code == 403
        assert (await client.post("/jobs/tune", json=body(jobs))).status_code == 403

    async def other_client(client: httpx2.AsyncClient) -> None:
        assert (await client.get(f"/jobs/{job_id}")).status_code == 404
        assert (await client.get("/jobs")).json() == {"jobs": []}

    async def admin(client: httpx2.AsyncClient) -> None:
        assert (await client.get(f"/jobs/{job_id}")).json()["client"] == "somebody"
        assert 'edge_autotuner_jobs{state="queued"} 1.0' in (await client.get("http://service/metrics")).text

    ask(jobs, without_scope, token="cam1-deploy")
    ask(jobs, other_client)
    ask(jobs, admin, token="cam1-admin")


def test_a_client_that_asks_often_does_not_keep_out_others() -> None:
    """One look at a description may take seconds, and two are taken at a time: at most one of a client."""
    begun: list[str] = []
    may_end = threading.Event()

    class Store:
        def create(self, tune: object, *, client: str) -> tuple[str, bool]:
            begun.append(client)
            assert may_end.wait(WAIT_S)
            return "info", True

    async def call() -> None:
        def asked(client: str) -> Awaitable[object]:
            caller = Caller(client, frozenset({"train"}))
            return create_tuning_job(None, Store(), caller, Response())  # type: ignore[arg-type]

        many = [asyncio.ensure_future(asked("greedy")) for _ in range(20)]
        await asyncio.sleep(0)
        other = asyncio.ensure_future(asked("other"))
        while len(begun) < 2:
            await asyncio.sleep(0.01)
        assert sorted(begun) == ["greedy", "other"]
        may_end.set()
        await asyncio.gather(*many, other)
        assert begun.count("greedy") == 20

    asyncio.run(call())
