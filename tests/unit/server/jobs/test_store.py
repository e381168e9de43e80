"""Jobs from the client's side: one request is one job, whoever asks again, and nobody sees those of others."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from edge_autotuner.server.problems import Problem
from edge_autotuner.server.schema import job_events
from edge_autotuner.storage import DiskReserve
from edge_autotuner.wire.job_messages import StartBundle, StartWeights
from support.service.job_parts import ADMIN, NODE, OTHER, RESULT, JobParts, open_jobs
from support.service.registry_samples import description


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[JobParts]:
    made = open_jobs(tmp_path)
    yield made
    made.parts.close()


def problem_of(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        call()
    return caught.value.status, caught.value.kind


def test_a_job_is_queued_and_logged(jobs: JobParts) -> None:
    info, is_new = jobs.store.create(jobs.request(), client="node")
    assert is_new
    assert (info.state, info.attempts, info.camera, info.client, info.error) == ("queued", 0, "gate", "node", None)
    assert jobs.store.get(info.id, NODE) == info
    assert jobs.events(info.id) == [("state", "queued")]
    assert ("job-created", "node", f"gate/{info.id}") in jobs.parts.actions()


def test_the_same_request_is_the_same_job(jobs: JobParts) -> None:
    first, _ = jobs.store.create(jobs.request(deadline_s=60), client="node")
    again = jobs.store.create(jobs.request(deadline_s=50), client="node")  # less time is left when it is repeated
    assert again == (first, False)
    assert jobs.store.create(jobs.request(), client="other")[0].id != first.id, "keys are the client's own"
    other = {**jobs.request().settings, "input_size": [96, 96]}
    assert problem_of(lambda: jobs.store.create(jobs.request(settings=other), client="node")) == (409, "key-used")


def test_requests_at_the_same_time_make_one_job(jobs: JobParts) -> None:
    made: list[tuple[str, bool]] = []

    def create() -> None:
        info, is_new = jobs.store.create(jobs.request(), client="node")
        made.append((info.id, is_new))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job_id for job_id, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1


def test_an_ended_job_is_still_the_answer(jobs: JobParts) -> None:
    job_id = jobs.add()
    claimed = jobs.queue.claim()
    assert claimed is not None
    jobs.queue.finish(claimed, RESULT)
    info, is_new = jobs.store.create(jobs.request(), client="node")
    assert (info.id, info.state, info.result, is_new) == (job_id, "done", RESULT, False)


UNKNOWN = "ab" * 32
REFUSED: dict[str, tuple[dict[str, Any], tuple[int, str]]] = {
    "a camera of nobody": ({"camera": "nowhere"}, (404, "unknown-camera")),
    "a dataset that was not uploaded": ({"dataset": UNKNOWN}, (409, "blobs-missing")),
    "a model that was not uploaded": (
        {"start": StartBundle(description=description(model=b"another"))},
        (409, "blobs-missing"),
    ),
    "weights of nobody": ({"start": StartWeights(name="mine", sha256=UNKNOWN)}, (409, "blobs-missing")),
    "no bundle": ({"start": StartBundle(description="{}")}, (422, "not-a-bundle")),
    "a rival that is no bundle": ({"rival": StartBundle(description="{not JSON")}, (422, "not-a-bundle")),
    "a setting of the machine": ({"settings": {"training": {"device": "cuda"}}}, (422, "bad-settings")),
}


@pytest.mark.parametrize(("changes", "expected"), list(REFUSED.values()), ids=list(REFUSED))
def test_what_cannot_be_done_is_refused(jobs: JobParts, changes: dict[str, Any], expected: tuple[int, str]) -> None:
    assert problem_of(lambda: jobs.store.create(jobs.request(**changes), client="node")) == expected
    assert jobs.store.counts() == {}


def test_a_missing_picture_is_named(jobs: JobParts) -> None:
    gone = next(iter(jobs.contents))
    jobs.parts.blobs.path(gone).unlink()
    with pytest.raises(Problem, match=f"upload these 1 blobs first: {gone}"):
        jobs.store.create(jobs.request(), client="node")


def test_a_dataset_that_is_none_is_refused(jobs: JobParts) -> None:
    dataset = jobs.parts.blobs.store(b'{"frames": "../../etc"}')
    assert problem_of(lambda: jobs.store.create(jobs.request(dataset=dataset), client="node")) == (422, "bad-dataset")


def test_a_dataset_that_is_too_large_is_refused(tmp_path: Path) -> None:
    jobs = open_jobs(tmp_path, max_dataset_mb=0.001)
    assert problem_of(lambda: jobs.store.create(jobs.request(), client="node")) == (422, "dataset-too-large")
    jobs.parts.close()


def test_a_picture_counts_as_often_as_it_is_named(tmp_path: Path) -> None:
    jobs = open_jobs(tmp_path, max_dataset_mb=0.5)
    values = json.loads(jobs.parts.blobs.path(jobs.dataset).read_bytes())
    first = values["frames"][0]
    values["frames"] += [first | {"index": 1000 + number} for number in range(200)]
    assert first["n_bytes"] * 200 > 500_000
    dataset = jobs.parts.blobs.store(json.dumps(values).encode())
    assert problem_of(lambda: jobs.store.create(jobs.request(dataset=dataset), client="node")) == (
        422,
        "dataset-too-large",
    )
    assert jobs.store.create(jobs.request(), client="node")[0].state == "queued"
    jobs.parts.close()


def test_a_disk_without_room_takes_no_job(jobs: JobParts, monkeypatch: pytest.MonkeyPatch) -> None:
    there = jobs.add("there")
    monkeypatch.setattr(DiskReserve, "has_room", lambda *_: False)
    assert problem_of(lambda: jobs.store.create(jobs.request("new"), client="node")) == (507, "disk-full")
    assert jobs.store.create(jobs.request("there"), client="node")[0].id == there, "what is there costs nothing"
    assert jobs.store.cancel(there, NODE).state == "cancelled"


def test_ended_jobs_of_a_client_are_limited(tmp_path: Path) -> None:
    jobs = open_jobs(tmp_path, max_ended=2)
    other = jobs.add("o", client="other")
    jobs.store.cancel(other, ADMIN)
    for key in "abcd":
        jobs.store.cancel(jobs.add(key), NODE)
    jobs.add("e")
    listed = jobs.store.list(ADMIN, camera=None, state=None, limit=100)
    assert [job.key for job in listed] == ["e", "d", "c", "o"]
    with jobs.parts.database.reading() as connection:
        kept = set(connection.execute(select(job_events.c.job_id).distinct()).scalars())
    assert kept == {job.id for job in listed}
    jobs.parts.close()


def test_a_known_model_needs_no_upload(jobs: JobParts) -> None:
    info, _ = jobs.store.create(jobs.request(start=StartWeights(name="street-nano", sha256=UNKNOWN)), client="node")
    assert info.state == "queued"


def test_unfinished_jobs_of_a_client_are_limited(tmp_path: Path) -> None:
    jobs = open_jobs(tmp_path, max_unfinished=2)
    ids = [jobs.add(key) for key in "ab"]
    assert problem_of(lambda: jobs.store.create(jobs.request("c"), client="node")) == (429, "too-many-jobs")
    assert jobs.store.create(jobs.request("a"), client="node")[0].id == ids[0], "what is there costs nothing"
    jobs.add("c", client="other")
    jobs.store.cancel(ids[0], NODE)
    jobs.add("c")
    jobs.parts.close()


def test_a_client_sees_its_own_jobs(jobs: JobParts) -> None:
    mine, theirs = jobs.add(), jobs.add(client="other")
    for call in (jobs.store.get, jobs.store.cancel):
        assert problem_of(lambda call=call: call(theirs, NODE)) == (404, "unknown-job")  # type: ignore[misc]
    assert problem_of(lambda: jobs.store.events(theirs, NODE, after=0)) == (404, "unknown-job")
    listed = {
        caller: [job.id for job in jobs.store.list(caller, camera=None, state=None, limit=9)]
        for caller in (NODE, OTHER, ADMIN)
    }
    assert listed == {NODE: [mine], OTHER: [theirs], ADMIN: [theirs, mine]}
    assert jobs.store.get(mine, ADMIN).id == mine


def test_lists_are_narrowed(jobs: JobParts) -> None:
    first, second = jobs.add("a"), jobs.add("b")
    jobs.store.cancel(first, NODE)

    def ids(**changes: Any) -> list[str]:
        return [job.id for job in jobs.store.list(NODE, **({"camera": None, "state": None, "limit": 9} | changes))]

    assert ids() == [second, first]
    assert ids(limit=1) == [second]
    assert ids(state="cancelled") == [first]
    assert ids(camera="elsewhere") == []


def test_a_queued_job_is_cancelled_at_once(jobs: JobParts) -> None:
    job_id = jobs.add()
    cancelled = jobs.store.cancel(job_id, NODE)
    assert (cancelled.state, cancelled.is_cancelling, cancelled.has_ended) == ("cancelled", False, True)
    assert jobs.store.cancel(job_id, NODE) == cancelled, "once is enough"
    assert jobs.queue.claim() is None
    assert [action for action, _, _ in jobs.parts.actions()].count("job-cancelled") == 1


def test_a_running_job_is_told_to_stop(jobs: JobParts) -> None:
    job_id = jobs.add()
    claimed = jobs.queue.claim()
    assert claimed is not None
    assert jobs.queue.report(claimed, None)
    info = jobs.store.cancel(job_id, NODE)
    assert (info.state, info.is_cancelling) == ("running", True)
    assert not jobs.queue.report(claimed, None)
    jobs.queue.cancelled(claimed)
    assert jobs.store.get(job_id, NODE).state == "cancelled"


def test_a_waiting_request_hears_of_news(jobs: JobParts) -> None:
    job_id = jobs.add()
    revision = jobs.store.get(job_id, NODE).revision

    async def ask() -> list[object]:
        at_once = await jobs.store.wait(job_id, NODE, after=None, wait_s=60)
        nothing = await jobs.store.wait(job_id, NODE, after=revision, wait_s=0)
        waiting = asyncio.ensure_future(jobs.store.wait(job_id, NODE, after=revision, wait_s=60))
        await asyncio.sleep(0)
        await asyncio.to_thread(jobs.store.cancel, job_id, NODE)
        news = await waiting
        return [at_once, nothing, news]

    at_once, nothing, news = asyncio.run(ask())
    assert nothing is None
    assert getattr(at_once, "revision", 0) == revision < getattr(news, "revision", 0)


def test_nobody_waits_for_a_service_that_ends(jobs: JobParts) -> None:
    job_id = jobs.add()
    jobs.store.close()
    assert asyncio.run(jobs.store.wait(job_id, NODE, after=1, wait_s=60)) is None


def test_contents_stay_while_a_job_needs_them(jobs: JobParts) -> None:
    picture = next(iter(jobs.contents))
    job_id = jobs.add()
    jobs.parts.clock.advance(2 * 86400)
    jobs.parts.registry.collect_garbage(client="admin")
    assert jobs.parts.blobs.path(picture).is_file()
    jobs.store.cancel(job_id, NODE)
    jobs.parts.registry.collect_garbage(client="admin")
    assert not jobs.parts.blobs.path(picture).is_file()
