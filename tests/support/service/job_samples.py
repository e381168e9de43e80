"""A service for tuning jobs that does nothing by itself: tests say what becomes of a job, and what it leaves."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from edge_autotuner.client import Connection, JobsClient, RegistryClient
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.pipeline.remote_training.training import TrainingService

AT = "2026-01-02T03:04:05+00:00"
CAMERA = "gate"


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class FakeJobs(httpx2.BaseTransport):
    """Keeps contents and jobs in memory.

    Attributes:
        blobs: contents by their hash.
        jobs: by their key.
        cameras: that are registered.
        asked: how often each method and path came.
        on_new: told of each new job; may change it.
        on_look: told of a job each time before it is shown; may change it.
        shown: changes the answer to a question about a job, which is then given at once; None: it stays as it is.
        lost: parts of paths; the reply to the next such request is lost after it was carried out.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.requests: dict[str, dict[str, Any]] = {}
        self.cameras = {CAMERA}
        self.asked: Counter[str] = Counter()
        self.on_new: Callable[[dict[str, Any]], object] = lambda _: None
        self.on_look: Callable[[dict[str, Any]], object] = lambda _: None
        self.shown: Callable[[dict[str, Any]], None] | None = None
        self.lost: set[str] = set()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer as the service does."""
        body = b"".join(request.stream)  # type: ignore[arg-type]
        line = f"{request.method} {request.url.path.removeprefix('/v1')}"
        self.asked[re.sub("[0-9a-f]{64}", "SHA", line)] += 1
        status, answer = self._answer(line, body, request)
        for part in [part for part in self.lost if part in line]:
            self.lost.remove(part)
            raise httpx2.ReadError("reset")
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        kind = "application/octet-stream" if isinstance(answer, bytes) else "application/json"
        return httpx2.Response(status, headers={"content-type": kind}, stream=httpx2.ByteStream(content))

    def _answer(self, line: str, body: bytes, request: httpx2.Request) -> tuple[int, Any]:
        method, path = line.split(" ")
        last = path.rpartition("/")[2]
        if line == "POST /blobs/missing":
            return 200, {"missing": [sha for sha in json.loads(body)["sha256"] if sha not in self.blobs]}
        if path.startswith("/blobs/"):
            if method == "PUT":
                assert sha256_of(body) == last
                self.blobs[last] = body
                return 201, {"sha256": last, "n_bytes": len(body)}
            return (200, self.blobs[last]) if last in self.blobs else problem(404, "unknown-blob")
        if path.startswith("/cameras/"):
            self.cameras.add(last)
            return 200, {"camera": last, "place": "", "shows": "", "deployed": None}
        if line == "POST /jobs/tune":
            return self._create(json.loads(body))
        job = next((job for job in self.jobs.values() if job["id"] in path), None)
        if line == "GET /jobs":
            return 200, {"jobs": list(self.jobs.values())}
        if job is None:
            return problem(404, "unknown-job")
        if last == "events":
            after = int(request.url.params["after"])
            return 200, {"events": [event for event in events(5) if event["seq"] > after][:2]}
        if last == "cancel":
            change(job, state="cancelled")
            return 200, job
        self.on_look(job)
        if self.shown is None and request.url.params.get("after") == str(job["revision"]):
            return 204, b""
        answer = dict(job)
        if self.shown is not None:
            self.shown(answer)
        return 200, answer

    def _create(self, request: dict[str, Any]) -> tuple[int, Any]:
        if request["camera"] not in self.cameras:
            return problem(404, "unknown-camera")
        if request["dataset"] not in self.blobs:
            return problem(409, "blobs-missing")
        there = self.jobs.get(request["key"])
        if there is not None:
            return (200, there) if self.requests[request["key"]] == request else problem(409, "key-differs")
        job = new_job(f"job-{len(self.jobs) + 1}", key=request["key"], camera=request["camera"])
        self.jobs[request["key"]] = job
        self.requests[request["key"]] = request
        self.on_new(job)
        return 201, job

    def leave(self, job: dict[str, Any], contents: Mapping[str, bytes], *, promoted: bool, **more: Any) -> None:
        """Let a job be done, with these outputs by their roles."""
        files = [{"role": r, "sha256": sha256_of(c), "n_bytes": len(c)} for r, c in contents.items()]
        self.blobs |= {sha256_of(content): content for content in contents.values()}
        result = {"promoted": promoted, "reason": "why", "metrics": {}, "candidate": "b1", "files": files}
        change(job, state="done", result={**result, **more})


def new_job(job_id: str, *, key: str = "key", camera: str = CAMERA) -> dict[str, Any]:
    """Return a queued job."""
    return {
        "id": job_id,
        "key": key,
        "client": "node",
        "camera": camera,
        "state": "queued",
        "created_at": AT,
        "started_at": None,
        "ended_at": None,
        "attempts": 0,
        "progress": {"task": "", "done": 0, "total": None},
        "revision": 1,
        "error": None,
        "result": None,
    }


def change(job: dict[str, Any], **values: Any) -> None:
    """Change a job, so that it is news."""
    job.update(values, revision=job["revision"] + 1)


def problem(status: int, kind: str) -> tuple[int, dict[str, Any]]:
    return status, {"type": kind, "title": kind, "status": status, "detail": f"because of {kind}"}


def events(n: int) -> list[dict[str, Any]]:
    """Return the first events of a job."""
    return [{"seq": i, "at": AT, "kind": "epoch", "name": "training", "values": {"loss": 1.5}} for i in range(1, n + 1)]


@contextmanager
def connected(fake: FakeJobs) -> Iterator[Connection]:
    """Connect to the fake."""
    config = ServiceConfig(url="http://localhost", first_retry_s=0.001)
    with Connection(config, transport=fake, sleep=lambda _: None) as connection:
        yield connection


@contextmanager
def training_service(fake: FakeJobs, **more: Any) -> Iterator[TrainingService]:
    """Return the fake as a service that trains."""
    with connected(fake) as connection:
        yield TrainingService(JobsClient(connection), RegistryClient(connection), CAMERA, **more)


def outputs_of(folder: Path) -> dict[str, bytes]:
    """Return what a job would have left that has done what a finished run has done."""
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    names = state["export"]["summary"]
    outputs = {}
    for kind, name in (("candidate", names["candidate"]), ("start", names["previous"])):
        bundle = folder / "bundles" / name
        outputs |= {f"{kind}.description": (bundle / "bundle.json").read_bytes()}
        outputs |= {f"{kind}.model": (bundle / "model.onnx").read_bytes()}
        outputs |= {f"{kind}.weights": (bundle / "weights.safetensors").read_bytes()}
    stages = {name: state[name] for name in ("training", "evaluation", "export")}
    outputs["stages"] = json.dumps(stages).encode()
    outputs["evaluation"] = (folder / "evaluation.json").read_bytes()
    outputs["report"] = (folder / "report.html").read_bytes()
    return outputs
