"""Tuning jobs from the client's side: the same request is the same job, and only what fits is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.client import JobsClient
from edge_autotuner.errors import ServiceBadReply, ServiceRefused, StorageError
from edge_autotuner.wire.job_messages import JobInfo, TuneRequest
from support.service.job_samples import CAMERA, FakeJobs, change, connected, new_job, sha256_of

DATASET = b"a description"
CONTENTS = {sha256_of(DATASET): DATASET, sha256_of(b"picture"): b"picture"}


@pytest.fixture
def fake() -> FakeJobs:
    return FakeJobs()


@pytest.fixture
def client(fake: FakeJobs) -> Iterator[JobsClient]:
    with connected(fake) as connection:
        yield JobsClient(connection)


def request(key: str = "key", camera: str = CAMERA) -> TuneRequest:
    start = {"name": "edge", "sha256": "0" * 64}
    values = {"key": key, "camera": camera, "settings": {}, "start": start, "dataset": sha256_of(DATASET)}
    return TuneRequest.model_validate(values)


def test_each_content_travels_once_and_the_same_request_is_the_same_job(client: JobsClient, fake: FakeJobs) -> None:
    first = client.submit(request(), CONTENTS)
    assert fake.blobs == CONTENTS
    assert client.submit(request(), CONTENTS).id == first.id
    assert fake.asked["PUT /blobs/SHA"] == 2
    assert client.submit(request("other"), CONTENTS).id != first.id


def test_a_lost_reply_makes_no_second_job(client: JobsClient, fake: FakeJobs) -> None:
    fake.lost = {"/jobs/tune", "/blobs/missing"}
    job = client.submit(request(), CONTENTS)
    assert fake.asked["POST /jobs/tune"] == 2
    assert [other.id for other in client.jobs(camera=CAMERA, state="queued", limit=5)] == [job.id]


def test_what_was_tidied_away_meanwhile_is_uploaded_again(client: JobsClient, fake: FakeJobs, tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.write_bytes(DATASET)
    n_times = 2

    class Forgetful(dict[str, bytes]):
        def __contains__(self, sha: object) -> bool:
            nonlocal n_times
            if super().__contains__(sha) and n_times:
                n_times -= 1
                del self[str(sha)]
                return False
            return super().__contains__(sha)

    fake.blobs = Forgetful()
    assert client.submit(request(), {sha256_of(DATASET): content}).state == "queued"
    assert fake.asked["PUT /blobs/SHA"] == 3


def test_a_service_that_never_keeps_anything_is_given_up(client: JobsClient, fake: FakeJobs) -> None:
    class Leaking(dict[str, bytes]):
        def __setitem__(self, key: str, value: bytes) -> None:
            pass

    fake.blobs = Leaking()
    with pytest.raises(ServiceRefused, match="blobs-missing"):
        client.submit(request(), CONTENTS)
    assert fake.asked["POST /jobs/tune"] == 3


def test_files_that_cannot_be_read(client: JobsClient, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*none"):
        client.submit(request(), {sha256_of(DATASET): tmp_path / "none"})


def test_an_answer_about_another_job_is_refused(client: JobsClient, fake: FakeJobs) -> None:
    fake.on_new = lambda job: job.update(key="another")
    with pytest.raises(ServiceBadReply, match="returned the wrong job 'another'"):
        client.submit(request(), CONTENTS)


def test_a_job_is_followed_to_its_end(client: JobsClient, fake: FakeJobs) -> None:
    steps: list[dict[str, Any]] = [
        {},  # nothing is new: the service answers without a job
        {"state": "running"},
        {"progress": {"task": "training", "done": 3, "total": 9}},
        {"state": "failed", "error": {"kind": "TrainingDiverged", "detail": "loss"}},
    ]

    def on_look(job: dict[str, Any]) -> None:
        step = steps.pop(0)
        if step:
            change(job, **step)

    fake.on_look = on_look
    told: list[JobInfo] = []
    job = client.wait(client.submit(request(), CONTENTS), told.append)
    assert [(one.state, one.progress.done) for one in told] == [
        ("queued", 0),
        ("running", 0),
        ("running", 3),
        ("failed", 3),
    ]
    assert job.error is not None
    assert job.error.kind == "TrainingDiverged"


@pytest.mark.parametrize("change_it", [lambda job: job.update(id="job-10"), lambda job: job.update(revision=1)])
def test_news_that_are_none_end_the_wait(
    client: JobsClient, fake: FakeJobs, change_it: Callable[[dict[str, Any]], None]
) -> None:
    job = client.submit(request(), CONTENTS)
    fake.shown = change_it
    with pytest.raises(ServiceBadReply, match="no update for the job job-1"):
        client.wait(job)


def test_events_come_in_pages(client: JobsClient) -> None:
    job = client.submit(request(), CONTENTS)
    assert [event.seq for event in client.events(job.id)] == [1, 2, 3, 4, 5]
    assert [event.seq for event in client.events(job.id, after=4)] == [5]
    assert client.cancel(job.id).state == "cancelled"


def done(fake: FakeJobs, outputs: dict[str, bytes], **more: Any) -> JobInfo:
    values = new_job("job-1")
    fake.leave(values, outputs, promoted=True, **more)
    return JobInfo.model_validate(values)


def test_outputs_are_fetched_once(client: JobsClient, fake: FakeJobs, tmp_path: Path) -> None:
    job = done(fake, {"evaluation": b"{}", "report": b"<html>"})
    files = client.fetch(job, tmp_path)
    assert {role: path.read_bytes() for role, path in files.items()} == {"evaluation": b"{}", "report": b"<html>"}
    files["report"].write_bytes(b"changed")
    client.fetch(job, tmp_path)
    assert files["report"].read_bytes() == b"<html>"
    assert fake.asked["GET /blobs/SHA"] == 3, "what is right stays"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param([("report", "a", 1), ("report", "b", 1)], "two files for one purpose", id="one role twice"),
        pytest.param([("report", "a", 0)], "invalid size", id="empty"),
        pytest.param([("report", "a", 1 << 40)], "invalid size", id="huge"),
        pytest.param([("report", "a", 7)], "fewer than", id="shorter than announced"),
        pytest.param([("report", "b", 6)], "not the expected file", id="another content"),
    ],
)
def test_outputs_that_do_not_fit(
    client: JobsClient, fake: FakeJobs, tmp_path: Path, files: list[tuple[str, str, int]], message: str
) -> None:
    listed = [{"role": role, "sha256": sha256_of(name.encode()), "n_bytes": n} for role, name, n in files]
    fake.blobs = {sha256_of(b"a"): b"<html>", sha256_of(b"b"): b"<html>"}
    with pytest.raises(ServiceBadReply, match=message):
        client.fetch(done(fake, {}, files=listed), tmp_path)
    assert not (tmp_path / "report").exists()


def test_a_job_without_a_result_has_nothing_to_fetch(client: JobsClient, tmp_path: Path) -> None:
    with pytest.raises(ServiceBadReply, match="is queued and has no result"):
        client.fetch(JobInfo.model_validate(new_job("job-1")), tmp_path)
