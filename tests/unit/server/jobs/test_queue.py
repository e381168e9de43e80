"""Jobs from the workers' side: in turn, one worker each, whatever is killed, and never for ever."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.errors import StorageError
from edge_autotuner.server.jobs import rows, store
from edge_autotuner.server.jobs.queue import ClaimedJob
from edge_autotuner.server.problems import Problem
from edge_autotuner.wire.job_messages import JobError, JobProgress, JobResult, OutputFile
from helpers import REPOSITORY
from support.service.job_parts import NODE, RESULT, JobParts, open_jobs


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[JobParts]:
    made = open_jobs(tmp_path)
    yield made
    made.parts.close()


def claim(jobs: JobParts) -> ClaimedJob:
    job = jobs.queue.claim()
    assert job is not None
    return job


def state(jobs: JobParts, job_id: str) -> str:
    return jobs.store.get(job_id, NODE).state


def die(job: ClaimedJob) -> None:
    """Let go of a job as a killed process does."""
    job.lock.release()


def test_the_oldest_comes_first(jobs: JobParts) -> None:
    ids = [jobs.add(key) for key in "abc"]
    assert [claim(jobs).id for _ in ids] == ids
    assert jobs.queue.claim() is None


def test_clients_take_turns(jobs: JobParts) -> None:
    many = [jobs.add(key) for key in "abc"]
    few = [jobs.add(key, client="other") for key in "ab"]
    claimed = [claim(jobs).id for _ in range(5)]
    assert claimed == [many[0], few[0], many[1], few[1], many[2]]


def test_a_client_that_was_served_waits_behind_one_that_was_not(jobs: JobParts) -> None:
    first, second = jobs.add("a"), jobs.add("b")
    jobs.queue.finish(claim(jobs), RESULT)
    late = jobs.add("a", client="other")
    assert [claim(jobs).id for _ in range(2)] == [late, second]
    assert state(jobs, first) == "done"


def test_a_claim_that_the_database_did_not_take_is_nobodys(jobs: JobParts, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = jobs.add()

    def refuse(*_arguments: object, **_options: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(rows, "add_event", refuse)
        with pytest.raises(StorageError):
            jobs.queue.claim()
    assert state(jobs, job_id) == "queued"
    assert claim(jobs).id == job_id


def test_a_claimed_job_is_running_and_has_its_folder(jobs: JobParts) -> None:
    job_id = jobs.add(deadline_s=60)
    job = claim(jobs)
    info = jobs.store.get(job_id, NODE)
    assert (job.id, info.state, info.attempts) == (job_id, "running", 1)
    assert job.folder.is_dir()
    assert (job.deadline_at - info.created_at).total_seconds() == 60
    assert job.request == jobs.request(deadline_s=60)


def test_many_workers_never_share_a_job(jobs: JobParts) -> None:
    ids = {jobs.add(str(number)) for number in range(12)}
    claimed: list[str] = []

    def work() -> None:
        queue = jobs.again()
        while (job := queue.claim()) is not None:
            claimed.append(job.id)
            queue.recover()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(ids)


OTHER_PROCESS = """
import sys
from pathlib import Path
from edge_autotuner.config.server import JobsConfig
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.database import Database
from edge_autotuner.server.jobs.queue import JobQueue
database = Database(sys.argv[1])
job = JobQueue(database, AuditLog(database), Path(sys.argv[2]), JobsConfig()).claim()
print(job.id, flush=True)
sys.stdin.read()
"""


def test_a_killed_process_loses_its_job_and_a_living_one_does_not(jobs: JobParts, tmp_path: Path) -> None:
    job_id = jobs.add()
    command = [sys.executable, "-c", OTHER_PROCESS, f"sqlite:///{tmp_path / 'service.db'}", str(tmp_path / "jobs")]
    environment = {"PYTHONPATH": str(REPOSITORY / "src")}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == job_id
        jobs.queue.recover()
        assert state(jobs, job_id) == "running"
        process.kill()
        process.wait()
    jobs.queue.recover()
    assert state(jobs, job_id) == "queued"
    assert jobs.events(job_id)[-2:] == [("warning", "worker-killed"), ("state", "queued")]
    assert claim(jobs).id == job_id
    assert jobs.store.get(job_id, NODE).attempts == 2


def test_a_job_that_kills_its_worker_again_and_again_has_failed(jobs: JobParts) -> None:
    job_id = jobs.add()
    for _ in range(3):
        assert state(jobs, job_id) == "queued"
        die(claim(jobs))
        jobs.queue.recover()
    info = jobs.store.get(job_id, NODE)
    assert (info.state, info.attempts, info.error and info.error.kind) == ("failed", 3, "worker-killed")
    jobs.queue.recover()
    assert not (jobs.queue._folder / job_id).exists()


def test_a_job_that_gets_further_may_be_killed_more_often(jobs: JobParts) -> None:
    job_id = jobs.add()
    for number in range(6):
        job = claim(jobs)
        values = {"epoch": number}
        jobs.queue.note(job, {"kind": "epoch", "name": "only", "values": values})
        assert job.epochs == frozenset(("only", n) for n in range(number))
        jobs.queue.lost(job, "its process exited with code -9")
    assert state(jobs, job_id) == "queued"


def test_a_worker_that_stops_gives_its_job_back(jobs: JobParts) -> None:
    job_id = jobs.add()
    for _ in range(5):
        jobs.queue.put_back(claim(jobs))
    assert state(jobs, job_id) == "queued"


def test_a_full_disk_is_waited_for(jobs: JobParts) -> None:
    job_id = jobs.add()
    jobs.queue.put_back(claim(jobs), why="no room", pause=True)
    assert jobs.queue.claim() is None
    jobs.parts.clock.advance(61)
    assert claim(jobs).id == job_id


def test_a_killed_job_that_was_to_be_cancelled_is(jobs: JobParts) -> None:
    job_id = jobs.add()
    job = claim(jobs)
    jobs.store.cancel(job_id, NODE)
    die(job)
    jobs.queue.recover()
    assert state(jobs, job_id) == "cancelled"


def test_a_job_whose_time_is_over_is_not_begun(jobs: JobParts) -> None:
    job_id = jobs.add(deadline_s=10)
    jobs.parts.clock.advance(10)
    jobs.queue.recover()
    info = jobs.store.get(job_id, NODE)
    assert (info.state, info.error and info.error.kind) == ("failed", "deadline")


@pytest.mark.parametrize("jump_s", [30, 3 * 86_400, -3 * 86_400])
def test_the_longest_time_is_that_of_an_attempt(jump_s: float, tmp_path: Path) -> None:
    """A clock that was set between two attempts ends no job."""
    jobs = open_jobs(tmp_path, max_run_s=100)
    jobs.add()
    jobs.queue.put_back(claim(jobs))
    jobs.parts.clock.advance(jump_s)
    assert claim(jobs).deadline_at == jobs.parts.clock.now() + timedelta(seconds=100)
    jobs.parts.close()


def test_progress_makes_a_new_revision(jobs: JobParts) -> None:
    job_id = jobs.add()
    job = claim(jobs)
    before = jobs.store.get(job_id, NODE)
    progress = JobProgress(task="training", done=3, total=9)
    jobs.queue.report(job, progress)
    after = jobs.store.get(job_id, NODE)
    assert (after.progress, after.revision) == (progress, before.revision + 1)
    jobs.queue.report(job, None)
    assert jobs.store.get(job_id, NODE) == after


def test_what_a_job_left_is_told_and_kept(jobs: JobParts) -> None:
    job_id = jobs.add()
    job = claim(jobs)
    sha256 = jobs.parts.blobs.store(b"report")
    result = RESULT.model_copy(update={"files": (OutputFile(role="report", sha256=sha256, n_bytes=6),)})
    jobs.queue.finish(job, result)
    info = jobs.store.get(job_id, NODE)
    assert (info.state, info.result) == ("done", result)
    assert not job.folder.exists()
    assert ("job-ended", "(worker)", f"gate/{job_id}") in jobs.parts.actions()
    jobs.parts.clock.advance(3 * 86400)
    jobs.parts.registry.collect_garbage(client="admin")
    assert jobs.parts.blobs.path(sha256).is_file()


def test_after_a_while_nobody_knows_a_job_any_more(jobs: JobParts) -> None:
    job_id = jobs.add()
    jobs.queue.fail(claim(jobs), JobError(kind="NoLabelsFound", detail="nothing"))
    jobs.parts.clock.advance(8 * 86400)
    jobs.queue.recover()
    with pytest.raises(Problem, match="no job"):
        jobs.store.get(job_id, NODE)
    again, is_new = jobs.store.create(jobs.request(), client="node")
    assert is_new, "its key is free again"
    assert again.id != job_id


def test_folders_of_nobody_are_removed(jobs: JobParts, tmp_path: Path) -> None:
    job_id = jobs.add()
    job = claim(jobs)
    (tmp_path / "jobs" / "j0" / "run").mkdir(parents=True)
    jobs.queue.recover()
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == [job_id]
    assert job.folder.is_dir()


def test_events_are_bounded_but_the_end_is_told(jobs: JobParts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_EVENTS", 9)
    monkeypatch.setattr(store, "_EVENTS_AT_ONCE", 4)
    job_id = jobs.add()
    job = claim(jobs)
    event: dict[str, Any] = {"kind": "warning", "name": "x", "text": "y" * 10_000}
    for _ in range(12):
        jobs.queue.note(job, event)
    jobs.queue.finish(job, RESULT)
    seen, after = [], 0
    while found := jobs.store.events(job_id, NODE, after=after).events:
        seen += found
        after = found[-1].seq
    assert len(seen) == 9 + 1
    assert (seen[-1].kind, seen[-1].name) == ("state", "done")
    assert max(len(one.text) for one in seen) == 2000


def test_a_result_survives_as_it_was(jobs: JobParts) -> None:
    job_id = jobs.add()
    result = JobResult(promoted=False, reason="no", metrics={"a": [1.5, None]}, candidate=None, files=())
    jobs.queue.finish(claim(jobs), result)
    assert jobs.store.get(job_id, NODE).result == result
