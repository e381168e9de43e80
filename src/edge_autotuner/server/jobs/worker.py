"""A worker, which runs one tuning job after the other, each in its own process.

It may be killed at any moment: the job's process dies with it, and the next worker continues from the checkpoints.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from edge_autotuner.config.server import ServerConfig
from edge_autotuner.core.clock import Clock, Deadline, SystemClock
from edge_autotuner.deployment.bundle import parse_description
from edge_autotuner.errors import EdgeAutotunerError, StorageError
from edge_autotuner.server.blobs import Blobs
from edge_autotuner.server.jobs.events import is_new
from edge_autotuner.server.jobs.folder import JobFolder, JobOrder
from edge_autotuner.server.jobs.queue import ClaimedJob, JobQueue
from edge_autotuner.server.jobs.signing_policy import SigningPolicy
from edge_autotuner.server.problems import Problem
from edge_autotuner.server.registry import Registry
from edge_autotuner.storage import DiskReserve, child_path, written_bytes
from edge_autotuner.storage.atomic import atomic_write_bytes
from edge_autotuner.storage.child_process import MessagingProcess, module_command
from edge_autotuner.wire.job_messages import JobError, JobProgress, JobResult, OutputFile, OutputRole
from edge_autotuner.wire.registry_messages import BundleRequest

logger = logging.getLogger(__name__)

_LOOK_S = 1.0  # polling interval for work, and for reports
_POLL_S = 0.1
_MEASURE_S = 5.0
_ENDING_S = 5.0  # from SIGTERM to SIGKILL
_RETRY_S = 5.0
_BLOCK_BYTES = 1 << 20
_FULL_DISK = "StorageError"

Command = Callable[[Path], Sequence[str]]
Ending = Callable[[], None]
Result = TypeVar("Result")


class Worker:
    """Runs jobs; `run` must be called by a thread that outlives the jobs' processes.

    Args:
        signing: signs candidates; None: none.
        command: returns the command for a job's folder; None for the process of this package.
    """

    def __init__(
        self,
        queue: JobQueue,
        blobs: Blobs,
        registry: Registry,
        config: ServerConfig,
        *,
        signing: SigningPolicy | None = None,
        clock: Clock | None = None,
        command: Command | None = None,
    ) -> None:
        self._queue, self._blobs, self._registry, self._config = queue, blobs, registry, config
        self._signing = signing or SigningPolicy()
        self._clock = clock or SystemClock()
        self._command = command or _tuning_command(config.jobs.priority)

    def run(self, stop: threading.Event) -> None:
        """Run jobs until `stop` is set."""
        while not stop.is_set():
            try:
                self._queue.recover()
                job = self._queue.claim()
            except StorageError as exc:
                logger.error("cannot look for jobs: %s", exc)
                stop.wait(_RETRY_S)
                continue
            if job is None:
                stop.wait(_LOOK_S)
            else:
                self.work_on(job, stop)

    def work_on(self, job: ClaimedJob, stop: threading.Event) -> None:
        """Run a job, until it ends or `stop` is set."""
        logger.info("job %s of %s started", job.id, job.client)
        try:
            JobFolder(job.folder).write_order(self._order(job))
        except StorageError as exc:
            self._persist(partial(self._queue.put_back, job, why=str(exc), pause=True), stop)
            return
        left_s = (job.deadline_at - self._clock.now()).total_seconds()
        deadline = Deadline(left_s, self._clock)  # reads the wall clock only once: it may be set meanwhile
        process = _JobProcess(self._command(job.folder), job)
        try:
            verdict = self._watch(job, process, deadline, stop)
        finally:
            process.end(patience_s=_ENDING_S)
        ending = self._ending(job, process, verdict, stop)
        if ending is not None:
            self._persist(ending, stop)

    def _watch(self, job: ClaimedJob, process: _JobProcess, deadline: Deadline, stop: threading.Event) -> str:
        """Watch a job's process until it must end; return why: exit, stop, cancelled, deadline, full or too-large."""
        reported_s = measured_s = time.monotonic()
        reserve = DiskReserve(job.folder, self._config.blobs.reserve_bytes)
        while not process.has_ended:
            if stop.is_set():
                return "stop"
            if deadline.has_passed:
                return "deadline"
            if not reserve.has_room():
                process.end(patience_s=0.0)  # it writes until it is gone
                return "full"
            if time.monotonic() - measured_s >= _MEASURE_S:
                measured_s = time.monotonic()
                if written_bytes(job.folder) > self._config.jobs.max_folder_mb * 1e6:
                    process.end(patience_s=0.0)
                    return "too-large"
            if time.monotonic() - reported_s >= _LOOK_S:
                reported_s = time.monotonic()
                if not self._report(job, process):
                    return "cancelled"
            stop.wait(_POLL_S)
        process.end(patience_s=_ENDING_S)
        return "exit" if self._report(job, process) else "cancelled"

    def _report(self, job: ClaimedJob, process: _JobProcess) -> bool:
        """Store events and progress; return whether the job is to continue. A full disk does not stop it."""
        try:
            while process.events:
                self._queue.note(job, process.events[0])
                process.events.pop(0)
            progress, process.progress = process.progress, None
            return self._queue.report(job, progress)
        except StorageError as exc:
            logger.error("job %s: cannot store its progress: %s", job.id, exc)
            return True

    def _ending(self, job: ClaimedJob, process: _JobProcess, verdict: str, stop: threading.Event) -> Ending | None:
        """Return the call that stores how a job ended; None if the worker is stopped first."""
        queue, code, error = self._queue, process.exit_code, process.error
        if verdict == "cancelled":
            return partial(queue.cancelled, job)
        if verdict == "deadline":
            detail = f"it reached its time limit at {job.deadline_at.isoformat()}"
            return partial(queue.fail, job, JobError(kind="deadline", detail=detail))
        if verdict == "full":
            return partial(queue.put_back, job, why="the service's disk is down to its reserve", pause=True)
        if verdict == "too-large":
            limit_mb, setting = self._config.jobs.max_folder_mb, "training.features.max_gb"
            detail = (
                f"it wrote more than {limit_mb:g} MB, the limit of this service; send fewer pictures, or lower "
                f"{setting}"
            )
            return partial(queue.fail, job, JobError(kind="too-large", detail=detail))
        if verdict == "stop":
            return partial(queue.put_back, job, why="its worker was stopped")
        if code == 0:
            return self._hand_over(job, stop)
        if error is None:
            return partial(queue.lost, job, f"its process exited with code {code}")
        if error.kind == _FULL_DISK:
            return partial(queue.put_back, job, why=error.detail, pause=True)
        return partial(queue.fail, job, error)

    def _hand_over(self, job: ClaimedJob, stop: threading.Event) -> Ending | None:
        """Store the results of a job, and add the candidate to the registry; return as `_ending`."""
        try:
            result = self._persist(lambda: self._result(job, JobFolder(job.folder)), stop)
        except Problem as exc:
            if exc.status == 507:
                return partial(self._queue.put_back, job, why=exc.detail, pause=True)
            return partial(self._queue.fail, job, JobError(kind=exc.kind, detail=exc.detail))
        except EdgeAutotunerError as exc:
            return partial(self._queue.fail, job, JobError(kind=type(exc).__name__, detail=str(exc)))
        if result is None:
            return None
        logger.info("job %s of %s: done, %s", job.id, job.client, result.reason)
        return partial(self._queue.finish, job, result)

    def _result(self, job: ClaimedJob, folder: JobFolder) -> JobResult:
        facts, paths = folder.outputs()
        description = paths["candidate.description"].read_bytes()
        signature = self._sign(job, folder, paths, promoted=facts["promoted"] is True).get("candidate")
        files = tuple(self._stored(role, path) for role, path in paths.items())
        added = self._registry.add(
            job.request.camera,
            BundleRequest(
                description=description.decode(),
                signature=signature,
                parent=job.request.parent,
                data_sha256=job.request.dataset,
            ),
            client=job.client,
            may_sign_others=True,
        )
        metrics = dict(parse_description(description).metrics)
        return JobResult(**facts, metrics=metrics, candidate=added.id, files=files)

    def _sign(self, job: ClaimedJob, folder: JobFolder, paths: dict[str, Path], *, promoted: bool) -> dict[str, str]:
        """Sign what the policy allows, add the signatures to the files, and return them."""
        kinds = [kind for kind in ("candidate", "start") if f"{kind}.description" in paths]
        signed, refusal = self._signing.signatures(
            job.request,
            client=job.client,
            promoted=promoted,
            descriptions={kind: paths[f"{kind}.description"].read_bytes() for kind in kinds},
            registry=self._registry,
        )
        if refusal is not None:
            logger.info("job %s of %s: the candidate is not signed: %s", job.id, job.client, refusal)
            text = f"the candidate is not signed: {refusal}"
            self._queue.note(job, {"kind": "warning", "name": "not-signed", "text": text})
        for kind, signature in signed.items():
            paths[f"{kind}.signature"] = child_path(folder.path, f"{kind}.signature")
            atomic_write_bytes(paths[f"{kind}.signature"], f"{signature}\n".encode())
        return signed

    def _stored(self, role: str, path: Path) -> OutputFile:
        """Store a file among the contents."""
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            upload = self._blobs.begin(path.stat().st_size)
            try:
                while block := file.read(_BLOCK_BYTES):
                    upload.write(block)
                n_bytes = upload.finish(sha256)
            finally:
                upload.abort()
        return OutputFile(role=cast("OutputRole", role), sha256=sha256, n_bytes=n_bytes)

    def _persist(self, write: Callable[[], Result], stop: threading.Event) -> Result | None:
        """Retry a write to database or disk until it succeeds; None if the worker is stopped first."""
        while True:
            try:
                return write()
            except StorageError as exc:
                logger.error("cannot store how a job ended, next attempt in %.0f s: %s", _RETRY_S, exc)
                if stop.wait(_RETRY_S):
                    return None

    def _order(self, job: ClaimedJob) -> JobOrder:
        config = self._config
        return JobOrder(
            request=job.request.model_dump_json(),
            blobs=str(self._blobs.folder.absolute()),
            reserve_bytes=config.blobs.reserve_bytes,
            max_pixels=int(config.limits.max_megapixels * 1e6),
            deadline_at=job.deadline_at.isoformat(),
            n_threads=config.jobs.n_threads,
            models_dir=None if config.models_dir is None else str(config.models_dir.absolute()),
        )


class _JobProcess(MessagingProcess):
    """A job's process and its messages."""

    def __init__(self, command: Sequence[str], job: ClaimedJob) -> None:
        self.events: list[Mapping[str, Any]] = []
        self.progress: JobProgress | None = None
        self.error: JobError | None = None
        self._job = job
        super().__init__(command, self._note, name=f"job {job.id}")

    def _note(self, message: Mapping[str, Any]) -> None:
        if "progress" in message:
            self.progress = JobProgress(**message["progress"])
        elif "event" in message:
            if is_new(message["event"], self._job.epochs):
                self.events.append(message["event"])
        else:
            self.error = JobError(**message["error"])


def _tuning_command(priority: str) -> Command:
    def command(folder: Path) -> Sequence[str]:
        return module_command("edge_autotuner.server.jobs.tuning", folder, priority, os.getpid())

    return command
