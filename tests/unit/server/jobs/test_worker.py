"""What a worker makes of a job's process, whatever that says and however it ends."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config.server import JobsConfig, ServerConfig
from edge_autotuner.deployment.acceptance import signature_from_text, signature_to_text
from edge_autotuner.deployment.signing import create_key
from edge_autotuner.errors import StorageError
from edge_autotuner.server.jobs import worker as worker_module
from edge_autotuner.server.jobs.signing_policy import JobKeys, SigningPolicy
from edge_autotuner.server.jobs.worker import Worker
from edge_autotuner.storage import DiskReserve
from edge_autotuner.wire.registry_messages import BundleRequest
from support.service.job_parts import NODE, JobParts, open_jobs
from support.service.registry_samples import description

SAY = "import json, sys, signal, time, os\nfrom pathlib import Path\njob = Path(sys.argv[1])\n"
SAY += "def say(**message): print(json.dumps(message), flush=True)\n"
DONE = """
files = {"candidate.description": "bundle.json", "candidate.model": "m", "candidate.weights": "w", "report": "r"}
for name, content in (("m", "model"), ("w", "weights"), ("r", "a page"), ("bundle.json", DESCRIPTION)):
    (job / name).write_text(content)
(job / "outputs.json").write_text(json.dumps({"result": {"promoted": True, "reason": "better"}, "files": files}))
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[JobParts]:
    made = open_jobs(tmp_path)
    yield made
    made.parts.close()


def worker(jobs: JobParts, script: str, *, max_folder_mb: float = 1000, **options: Any) -> Worker:
    """Return a worker whose jobs are a script."""

    def command(folder: Path) -> Sequence[str]:
        return [sys.executable, "-c", f"{SAY}DESCRIPTION = {description()!r}\n{script}", str(folder)]

    config = ServerConfig(data=jobs.queue._folder.parent, jobs=JobsConfig(max_folder_mb=max_folder_mb))
    return Worker(
        jobs.queue,
        jobs.parts.blobs,
        jobs.parts.registry,
        config,
        clock=jobs.parts.clock,
        command=command,
        **options,
    )


def after(jobs: JobParts, script: str, **options: Any) -> Any:
    """Do one job, and return it."""
    job_id = jobs.add()
    job = jobs.queue.claim()
    assert job is not None
    worker(jobs, script, **options).work_on(job, threading.Event())
    return jobs.store.get(job_id, NODE)


def test_a_finished_job_is_handed_over(jobs: JobParts) -> None:
    script = 'say(progress={"task": "training", "done": 5, "total": 9})\n'
    script += 'say(event={"kind": "epoch", "name": "only", "values": {"epoch": 1}, "text": "epoch 1"})\n'
    info = after(jobs, script + DONE)
    assert (info.state, info.progress.done, info.result.promoted, info.result.reason) == ("done", 5, True, "better")
    assert ("epoch", "only") in jobs.events(info.id)
    contents = {file.role: jobs.parts.blobs.path(file.sha256).read_bytes() for file in info.result.files}
    assert contents["report"] == b"a page"
    assert contents["candidate.model"] == b"model"
    (bundle,) = jobs.parts.registry.bundles("gate")
    assert (bundle.id, bundle.stage, bundle.data_sha256) == (info.result.candidate, "candidate", jobs.dataset)
    assert not bundle.is_signed


def roles(info: Any) -> set[str]:
    return {file.role for file in info.result.files}


def test_a_candidate_is_signed_where_there_is_a_key_and_a_trusted_start(jobs: JobParts, tmp_path: Path) -> None:
    key = create_key(tmp_path / "key")
    signature = signature_to_text(key.sign(description().encode()))
    start = BundleRequest(description=description(), signature=signature)
    jobs.parts.registry.add("gate", start, client="trainer")
    made = description("tuned")
    info = after(jobs, f"DESCRIPTION = {made!r}\n{DONE}", signing=SigningPolicy(JobKeys(others=key)))
    (bundle, _) = sorted(jobs.parts.registry.bundles("gate"), key=lambda bundle: bundle.name, reverse=True)
    assert (bundle.name, bundle.is_signed) == ("tuned", True)
    assert "candidate.signature" in roles(info)
    assert "start.signature" not in roles(info)
    stored = {file.role: jobs.parts.blobs.path(file.sha256) for file in info.result.files}
    signature = stored["candidate.signature"].read_text().strip()
    assert key.public.verifies(made.encode(), signature_from_text(signature))


def test_nothing_is_signed_that_comes_of_an_unknown_start(jobs: JobParts, tmp_path: Path) -> None:
    info = after(jobs, DONE, signing=SigningPolicy(JobKeys(others=create_key(tmp_path / "key"))))
    (bundle,) = jobs.parts.registry.bundles("gate")
    assert not bundle.is_signed
    assert not {role for role in roles(info) if role.endswith("signature")}
    assert ("warning", "not-signed") in jobs.events(info.id)


def test_an_error_is_what_the_client_hears(jobs: JobParts) -> None:
    info = after(jobs, 'say(error={"kind": "NoLabelsFound", "detail": "nothing"})\nsys.exit(5)')
    assert (info.state, info.error.kind, info.error.detail) == ("failed", "NoLabelsFound", "nothing")


def test_a_process_that_dies_is_tried_again(jobs: JobParts) -> None:
    info = after(jobs, "os.kill(os.getpid(), signal.SIGKILL)")
    assert (info.state, info.error) == ("queued", None)
    assert ("warning", "worker-killed") in jobs.events(info.id)


def test_a_full_disk_of_the_process_is_waited_for(jobs: JobParts) -> None:
    info = after(jobs, 'say(error={"kind": "StorageError", "detail": "full"})\nsys.exit(12)')
    assert info.state == "queued"
    assert jobs.queue.claim() is None, "not at once"


def test_a_disk_without_its_reserve_ends_a_process_at_once(jobs: JobParts, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(DiskReserve):
        def has_room(self, n_bytes: int = 0) -> bool:
            return False

    monkeypatch.setattr(worker_module, "DiskReserve", Full)
    info = after(jobs, STUBBORN)
    assert (info.state, info.error) == ("queued", None)
    assert jobs.queue.claim() is None, "not at once"
    assert "is down to its reserve" in jobs.store.events(info.id, NODE, after=0).events[-1].text


def test_a_process_that_writes_too_much_has_failed(jobs: JobParts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_MEASURE_S", 0.01)
    script = "(job / 'large').write_bytes(os.urandom(3_000_000)); os.sync()\n" + STUBBORN
    info = after(jobs, script, max_folder_mb=2)
    assert (info.state, info.error.kind) == ("failed", "too-large")
    assert "more than 2 MB" in info.error.detail
    assert list(jobs.queue._folder.iterdir()) == []


def test_words_that_are_no_messages_do_no_harm(jobs: JobParts) -> None:
    script = 'print("hello")\nprint("[1")\nsay(progress=3)\nsay(error=None)\nprint("x" * 100000)\n'
    assert after(jobs, script + DONE).state == "done"


def test_a_process_that_leaves_nothing_has_failed(jobs: JobParts) -> None:
    info = after(jobs, "")
    assert (info.state, info.error.kind) == ("failed", "DatasetError")


def stopped_by(jobs: JobParts, act: Callable[[str, threading.Event], None], script: str) -> Any:
    """Do a job that says when it runs, act then, and return the job."""
    job_id = jobs.add(deadline_s=100)
    job = jobs.queue.claim()
    assert job is not None
    stop = threading.Event()
    thread = threading.Thread(target=worker(jobs, script).work_on, args=(job, stop))
    thread.start()
    while jobs.store.get(job_id, NODE).progress.task != "running":
        threading.Event().wait(0.01)
    act(job_id, stop)
    thread.join()
    return jobs.store.get(job_id, NODE)


RUNS = 'say(progress={"task": "running", "done": 0, "total": None})\n'
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + RUNS + "while True: time.sleep(60)\n"


def test_a_cancelled_job_stops(jobs: JobParts) -> None:
    info = stopped_by(jobs, lambda job_id, _: jobs.store.cancel(job_id, NODE) and None, RUNS + "time.sleep(600)")
    assert (info.state, info.error) == ("cancelled", None)
    assert list(jobs.queue._folder.iterdir()) == []


def test_a_process_that_does_not_listen_is_killed(jobs: JobParts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_ENDING_S", 0.1)
    info = stopped_by(jobs, lambda job_id, _: jobs.store.cancel(job_id, NODE) and None, STUBBORN)
    assert info.state == "cancelled"


def test_a_deadline_stops_a_job(jobs: JobParts) -> None:
    info = stopped_by(jobs, lambda *_: jobs.parts.clock.advance(100), RUNS + "time.sleep(600)")
    assert (info.state, info.error.kind) == ("failed", "deadline")


def test_a_clock_that_is_set_while_a_job_runs_does_not_end_it(jobs: JobParts) -> None:
    def set_ahead(job_id: str, _: threading.Event) -> None:
        jobs.parts.clock.started_at += timedelta(days=1)
        threading.Event().wait(3 * worker_module._POLL_S)
        (jobs.queue._folder / job_id / "go").touch()

    script = RUNS + 'while not (job / "go").exists(): time.sleep(0.01)\n' + DONE
    assert stopped_by(jobs, set_ahead, script).state == "done"


def test_a_worker_that_is_stopped_leaves_the_job_to_others(jobs: JobParts) -> None:
    info = stopped_by(jobs, lambda _, stop: stop.set(), RUNS + "time.sleep(600)")
    assert (info.state, info.attempts) == ("queued", 1)
    again = jobs.queue.claim()
    assert again is not None
    assert (again.folder / "order.json").is_file(), "what is there is kept"


def test_a_database_that_refuses_is_asked_again(jobs: JobParts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_RETRY_S", 0.01)
    finish, refusals = jobs.queue.finish, [StorageError("disk is full")] * 2

    def sometimes(*arguments: Any) -> None:
        if refusals:
            raise refusals.pop()
        finish(*arguments)

    monkeypatch.setattr(jobs.queue, "finish", sometimes)
    assert after(jobs, DONE).state == "done"


def test_a_worker_does_what_comes_until_it_is_stopped(jobs: JobParts) -> None:
    ids = [jobs.add(key) for key in "ab"]
    stop = threading.Event()
    thread = threading.Thread(target=worker(jobs, DONE).run, args=(stop,))
    thread.start()
    while any(not jobs.store.get(job_id, NODE).has_ended for job_id in ids):
        threading.Event().wait(0.01)
    stop.set()
    thread.join()
    assert [jobs.store.get(job_id, NODE).state for job_id in ids] == ["done", "done"]


def test_the_order_says_what_the_process_needs(jobs: JobParts) -> None:
    after(jobs, "os.kill(os.getpid(), signal.SIGKILL)")
    (folder,) = jobs.queue._folder.iterdir()
    order = json.loads((folder / "order.json").read_text())
    assert order["blobs"] == str(jobs.queue._folder.parent / "blobs")
    assert order["models_dir"] is None
