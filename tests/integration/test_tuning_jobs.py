"""Tuning jobs with real processes: whatever is killed, the same weights come out; a cancelled job stops."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from edge_autotuner.deployment.acceptance import signature_from_text
from edge_autotuner.deployment.signing import create_key
from edge_autotuner.models.weights_store import locate
from edge_autotuner.pipeline.remote_training.portable_settings import portable_settings
from edge_autotuner.wire.job_messages import JobInfo, JobList
from support.machine.private_files import open_to_others
from support.runs.cli_runs import run_cli
from support.runs.run_samples import camera as simulated_camera
from support.runs.run_samples import candidate_of, change_detector
from support.service.client_runs import CAMERA, ClientRun, annotated_run
from support.service.real_service import RealService

N_EPOCHS = 40  # some are left when the last kill comes
WAIT_S = 120.0


class TuningService(RealService):
    """A service whose jobs run with one thread, and a client that may train."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        model = folder / "teacher.onnx"
        model.write_bytes(change_detector(simulated_camera().street_bgr))
        self.key = create_key(folder / "service.pem")
        jobs = {"n_threads": 1, "priority": "normal", "signing_key": str(folder / "service.pem")}
        settings = {"jobs": jobs, "blobs": {"reserve_mb": 1}}
        super().__init__(folder, model, name="stub", adapter="yolox", settings=settings)
        self.data = folder / "data"
        headers = {"Authorization": f"Bearer {self.add_token('trainer', 'train').read_text()}"}
        self.client = httpx2.Client(base_url=f"{self.url}/v1", headers=headers, timeout=WAIT_S)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def worker(self) -> int:
        """Return the process id of its only worker."""
        return only_child(self.pid, "server.jobs.process")

    def tuning(self) -> int:
        """Return the process id of the worker's job."""
        return only_child(self.worker(), "server.jobs.tuning")

    def put(self, content: bytes) -> str:
        """Upload a content, and return its hash."""
        sha256 = hashlib.sha256(content).hexdigest()
        assert self.client.put(f"/blobs/{sha256}", content=content).status_code == 201
        return sha256

    def output(self, info: JobInfo, role: str) -> bytes:
        """Fetch what a job has left."""
        return self.client.get(f"/blobs/{output(info, role)}").content

    def ask(self, run: ClientRun, *, more: Mapping[str, Any] | None = None, **changes: Any) -> JobInfo:
        """Upload a run, and ask for its training; `more` replaces fields of the request."""
        assert self.client.put(f"/cameras/{CAMERA}", json={}).status_code == 200
        description, files = run.described()
        contents = [description, *(path.read_bytes() for path in (*files.values(), run.edge_model))]
        for content in contents:
            self.put(content)
        request = run.request(**changes).model_dump(mode="json") | dict(more or {})
        reply = self.client.post("/jobs/tune", json=request)
        assert reply.status_code == 201, reply.text
        return JobInfo.model_validate(reply.json())

    def follow(self, job_id: str, until: Callable[[JobInfo], bool]) -> JobInfo:
        """Wait for news until something is so."""
        query: dict[str, Any] = {}
        for _ in range(1000):
            reply = self.client.get(f"/jobs/{job_id}", params=query)
            if reply.status_code == 200:
                info = JobInfo.model_validate(reply.json())
                if until(info):
                    return info
                assert not info.has_ended, info
                query = {"after": info.revision, "wait_s": 10}
        raise AssertionError("nothing happened")

    def epochs(self, job_id: str) -> list[tuple[str, int]]:
        found = self.client.get(f"/jobs/{job_id}/events").json()["events"]
        return [(event["name"], event["values"]["epoch"]) for event in found if event["kind"] == "epoch"]

    def wait_for_another_epoch(self, job_id: str) -> None:
        n_before = len(self.epochs(job_id))
        self.follow(job_id, lambda info: info.has_ended or len(self.epochs(job_id)) > n_before)


def only_child(parent: int, module: str) -> int:
    """Return the child process that runs a module, as soon as there is one."""
    for _ in range(20_000):
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                status = (path / "stat").read_text().rpartition(")")[2].split()
                if int(status[1]) == parent and module in (path / "cmdline").read_text():
                    return int(path.name)
        threading.Event().wait(0.005)
    raise AssertionError(f"no {module}")


def wait_until_gone(folder: Path) -> None:
    """Wait for what a worker does after it has said how a job ended."""
    for _ in range(20_000):
        if not folder.exists():
            return
        threading.Event().wait(0.005)
    raise AssertionError(f"{folder} is still there")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ClientRun:
    folder = tmp_path_factory.mktemp("client")
    return annotated_run(folder, n_epochs=N_EPOCHS, patience_epochs=N_EPOCHS)


@pytest.fixture(scope="module")
def local_sha256(run: ClientRun, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the hash of the weights that the client's own machine makes of the run."""
    own = run.copy(tmp_path_factory.mktemp("own") / "run")
    outcome = run_cli("tune", own.folder)
    assert outcome.code == 0, outcome.err
    return hashlib.sha256(candidate_of(own.folder).read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TuningService]:
    with TuningService(tmp_path_factory.mktemp("service") / "s") as running:
        yield running
        running.client.close()


def output(info: JobInfo, role: str) -> str:
    assert info.result is not None
    return next(file.sha256 for file in info.result.files if file.role == role)


@pytest.mark.slow
def test_whatever_is_killed_the_weights_are_those_of_a_local_training(
    service: TuningService, run: ClientRun, local_sha256: str
) -> None:
    job_id = service.ask(run).id
    service.wait_for_another_epoch(job_id)
    os.kill(service.tuning(), signal.SIGKILL)
    service.wait_for_another_epoch(job_id)
    os.kill(service.worker(), signal.SIGKILL)
    service.wait_for_another_epoch(job_id)
    service.kill()
    service.start()
    info = service.follow(job_id, lambda info: info.has_ended)
    assert (info.state, info.attempts, info.error) == ("done", 4, None)
    weights = service.client.get(f"/blobs/{output(info, 'candidate.weights')}").content
    assert hashlib.sha256(weights).hexdigest() == local_sha256
    assert service.epochs(job_id) == [("only", epoch) for epoch in range(N_EPOCHS + 1)], "each once, none is missing"
    stages = {
        bundle["id"]: bundle["stage"] for bundle in service.client.get(f"/cameras/{CAMERA}/bundles").json()["bundles"]
    }
    assert info.result is not None
    assert stages[info.result.candidate or ""] == "candidate"
    assert b"<html" in service.client.get(f"/blobs/{output(info, 'report')}").content
    listed = JobList.model_validate(service.client.get("/jobs", params={"state": "done"}).json())
    assert job_id in [job.id for job in listed.jobs]
    wait_until_gone(service.data / "jobs" / job_id)


def test_nothing_is_signed_that_a_client_has_named_as_the_service_names_its_own(
    service: TuningService, run: ClientRun
) -> None:
    """A rival's folder is named by the client, and the name of the start's export can be known before."""
    settings = portable_settings(run.config)
    settings["training"] |= {"n_epochs": 1, "patience_epochs": 1}
    start = {"name": "street-nano", "sha256": hashlib.sha256(locate("street-nano").read_bytes()).hexdigest()}
    more = {"settings": settings, "start": start}
    first = service.follow(service.ask(run, key="honest", more=more).id, lambda info: info.has_ended)
    assert first.error is None
    stages = json.loads(service.output(first, "stages"))
    evil = json.loads(service.output(first, "start.description"))
    weights = b"weights that no training here has seen"
    evil["files"]["weights"].update(sha256=service.put(weights), n_bytes=len(weights))
    evil["detector"]["labels"] = evil["detector"]["labels"][::-1]
    rival = {"description": json.dumps(evil), "folder": stages["export"]["summary"]["start"]}
    asked = service.ask(run, key="hostile", more={**more, "rival": rival})
    ended = service.follow(asked.id, lambda info: info.has_ended)
    description = service.output(ended, "start.description")
    signature = signature_from_text(service.output(ended, "start.signature").decode().strip())
    assert service.key.public.verifies(description, signature)
    assert json.loads(description)["files"] == json.loads(service.output(first, "start.description"))["files"]
    assert json.loads(description)["detector"]["labels"] != evil["detector"]["labels"]


def test_a_cancelled_job_stops_and_leaves_no_process(service: TuningService, run: ClientRun) -> None:
    job_id = service.ask(run, key="cancelled").id
    service.wait_for_another_epoch(job_id)
    process = service.tuning()
    assert (service.data / "jobs" / job_id / "run" / "dataset" / "frames").is_dir()
    assert open_to_others(service.data) == {}
    assert service.client.post(f"/jobs/{job_id}/cancel").json()["is_cancelling"]
    info = service.follow(job_id, lambda info: info.has_ended)
    assert (info.state, info.result) == ("cancelled", None)
    assert not Path(f"/proc/{process}").exists()
    wait_until_gone(service.data / "jobs" / job_id)


def test_a_service_that_ends_takes_its_workers_along(service: TuningService, run: ClientRun) -> None:
    job_id = service.ask(run, key="left").id
    worker = service.worker()
    os.kill(service.pid, signal.SIGTERM)
    assert service._process is not None
    assert service._process.wait(WAIT_S) == 0
    assert not Path(f"/proc/{worker}").exists()
    service.start()  # as the other tests expect it, and without this job
    service.client.post(f"/jobs/{job_id}/cancel").raise_for_status()
    assert service.follow(job_id, lambda info: info.has_ended).state == "cancelled"
