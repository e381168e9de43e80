"""Jobs with their database and contents, and requests for trainings that nobody carries out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edge_autotuner.config import RunConfig
from edge_autotuner.config.server import JobsConfig
from edge_autotuner.pipeline.remote_training.portable_settings import portable_settings
from edge_autotuner.server.access import Caller
from edge_autotuner.server.jobs.queue import JobQueue
from edge_autotuner.server.jobs.rows import protected_blobs
from edge_autotuner.server.jobs.store import JobStore
from edge_autotuner.server.retention import RetentionRules
from edge_autotuner.wire.job_messages import JobResult, StartBundle, TuneRequest
from edge_autotuner.wire.registry_messages import CameraRequest
from support.runs.described_runs import described
from support.service.registry_samples import Parts, description, open_parts

NODE = Caller("node", frozenset({"train"}))
OTHER = Caller("other", frozenset({"train"}))
ADMIN = Caller("boss", frozenset({"admin"}))
RESULT = JobResult(promoted=True, reason="better", metrics={}, candidate="b1", files=())


@dataclass
class JobParts:
    """What the service joins for jobs, and a dataset that was uploaded.

    Attributes:
        parts: database, contents, registry.
        store: the clients' side.
        queue: the workers' side.
        dataset: hash of the description.
        contents: all contents of the dataset.
    """

    parts: Parts
    store: JobStore
    queue: JobQueue
    dataset: str
    contents: dict[str, bytes]

    def request(self, key: str = "k", **changes: Any) -> TuneRequest:
        values = {
            "key": key,
            "camera": "gate",
            "settings": portable_settings(RunConfig()),
            "start": StartBundle(description=description()),
            "dataset": self.dataset,
        }
        return TuneRequest(**(values | changes))

    def add(self, key: str = "k", *, client: str = "node", **changes: Any) -> str:
        """Queue a job, and let a second pass."""
        info, _ = self.store.create(self.request(key, **changes), client=client)
        self.parts.clock.advance(1)
        return info.id

    def events(self, job_id: str) -> list[tuple[str, str]]:
        return [(event.kind, event.name) for event in self.store.events(job_id, ADMIN, after=0).events]

    def again(self) -> JobQueue:
        """Return the queue as another process has it."""
        return open_queue(self.parts, self.queue._folder, self.queue._config)


def open_queue(parts: Parts, folder: Path, config: JobsConfig) -> JobQueue:
    return JobQueue(parts.database, parts.audit, folder, config, clock=parts.clock)


@cache
def uploads() -> tuple[bytes, dict[str, bytes]]:
    """Return the description of a dataset, and its contents by their hash."""
    with TemporaryDirectory() as folder:
        _, contents, text = described(Path(folder))
    return text, contents


def open_jobs(folder: Path, *, rules: RetentionRules | None = None, **config: Any) -> JobParts:
    """Open everything in a folder, with a camera, a dataset and a model."""
    parts = open_parts(folder, protected=[protected_blobs], rules=rules)
    settings = JobsConfig(**config)
    store = JobStore(parts.database, parts.blobs, parts.audit, settings, clock=parts.clock)
    parts.registry.put_camera("gate", CameraRequest(), client="admin")
    text, contents = uploads()
    for content in (text, b"model", b"weights", *contents.values()):
        parts.blobs.store(content)
    return JobParts(parts, store, open_queue(parts, folder / "jobs", settings), parts.blobs.store(text), contents)
