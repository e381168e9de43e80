"""The job queue of workers: claim a job, report its progress, end it, and recover jobs of killed workers.

A worker holds the lock of its job's folder, which the kernel frees when it dies. So a running job with a free lock has
lost its worker, whatever the clocks say. All workers share one disk and one database.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, select

from edge_autotuner.config.server import JobsConfig
from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.errors import DatasetError
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.database import Database
from edge_autotuner.server.jobs import rows
from edge_autotuner.server.schema import job_events, jobs
from edge_autotuner.storage import child_path, remove_folder
from edge_autotuner.storage.atomic import make_folder
from edge_autotuner.storage.lock import FolderLock
from edge_autotuner.wire.job_messages import JobError, JobProgress, JobResult, TuneRequest

logger = logging.getLogger(__name__)

WORKER = "(worker)"
"""Client of workers in the audit log; no other client can have this name."""

_DISK_PAUSE_S = 60.0
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class ClaimedJob:
    """A job that this process runs.

    Attributes:
        folder: of the job, which no other process writes to.
        epochs: that are among its events, by round.
        lock: held until the job is released.
    """

    id: str
    client: str
    request: TuneRequest
    folder: Path
    deadline_at: datetime
    epochs: frozenset[tuple[str, int]]
    lock: FolderLock


class JobQueue:
    """The jobs for workers."""

    def __init__(
        self, database: Database, audit: AuditLog, folder: Path, config: JobsConfig, *, clock: Clock | None = None
    ) -> None:
        self._database, self._audit, self._folder, self._config = database, audit, folder, config
        self._clock = clock or SystemClock()
        make_folder(folder)

    def claim(self) -> ClaimedJob | None:
        """Claim the oldest job of the client with the fewest running ones; None if no job waits."""
        claimed = None
        try:
            with self._database.writing() as connection:
                for row in _in_turn(connection, self._clock.now()):
                    claimed = self._take(connection, row)
                    if claimed is not None:
                        break
        except BaseException:
            if claimed is not None:
                claimed.lock.release()  # the claim is not in the database
            raise
        return claimed

    def recover(self) -> None:
        """Requeue jobs that lost their worker, end those past their deadline, and delete old jobs and their folders."""
        folders = [path for path in self._folder.iterdir() if path.is_dir()]  # first, without those of new jobs
        with self._database.writing() as connection:
            for row in connection.execute(select(jobs).where(jobs.c.state == "running")).all():
                lock = self._try_lock(row.id)
                if lock is not None:
                    self._lost(connection, row)
                    lock.release()
            for row in connection.execute(select(jobs).where(jobs.c.state == "queued")).all():
                if row.deadline_at is not None and row.deadline_at <= self._clock.now():
                    self._end(connection, row, "failed", error=_late())
            rows.forget(connection, self._clock.now(), self._config.keep_s)
            kept = set(connection.execute(select(jobs.c.id).where(jobs.c.state.in_(rows.UNFINISHED))).scalars())
        for path in folders:
            if path.name not in kept:
                remove_folder(path, below=self._folder)

    def report(self, job: ClaimedJob, progress: JobProgress | None) -> bool:
        """Store the progress of a job, None if unchanged; return whether the job is to continue."""
        if progress is None:
            with self._database.reading() as connection:
                row = connection.execute(select(jobs.c.is_cancelling).where(jobs.c.id == job.id)).one()
            return not row.is_cancelling
        with self._database.writing() as connection:
            row = connection.execute(select(jobs.c.is_cancelling).where(jobs.c.id == job.id)).one()
            values = {"task": progress.task[:100], "n_done": progress.done, "n_total": progress.total}
            rows.change(connection, job.id, **values)
        return not row.is_cancelling

    def note(self, job: ClaimedJob, event: Mapping[str, Any]) -> None:
        """Store an event; a stage or an epoch resets the count of kills."""
        with self._database.writing() as connection:
            rows.add_event(
                connection,
                job.id,
                self._clock.now(),
                event["kind"],
                event["name"],
                text=event.get("text", ""),
                values=event.get("values"),
            )
            got_on = {"n_kills": 0} if event["kind"] in ("stage", "epoch") else {}
            rows.change(connection, job.id, **got_on)

    def finish(self, job: ClaimedJob, result: JobResult) -> None:
        """End a job with its result."""
        with self._database.writing() as connection:
            rows.add_blobs(connection, job.id, [(file.role, file.sha256) for file in result.files])
            self._end(connection, _row(connection, job.id), "done", result=result)
        self._release(job, remove=True)

    def fail(self, job: ClaimedJob, error: JobError) -> None:
        """End a job with an error."""
        with self._database.writing() as connection:
            self._end(connection, _row(connection, job.id), "failed", error=error)
        self._release(job, remove=True)

    def cancelled(self, job: ClaimedJob) -> None:
        """End a job that its client has cancelled."""
        with self._database.writing() as connection:
            self._end(connection, _row(connection, job.id), "cancelled")
        self._release(job, remove=True)

    def lost(self, job: ClaimedJob, why: str) -> None:
        """Requeue a job whose process died, up to `max_kills` times."""
        with self._database.writing() as connection:
            self._lost(connection, _row(connection, job.id), why)
        self._release(job)

    def put_back(self, job: ClaimedJob, *, why: str = "", pause: bool = False) -> None:
        """Requeue a job whose worker stops, or, with a pause, lacks disk space."""
        with self._database.writing() as connection:
            until = self._clock.now() + timedelta(seconds=_DISK_PAUSE_S) if pause else None
            rows.change(connection, job.id, state="queued", not_before=until)
            rows.add_event(connection, job.id, self._clock.now(), "state", "queued", text=why)
        self._release(job)

    def _take(self, connection: Connection, row: Row[Any]) -> ClaimedJob | None:
        lock = self._try_lock(row.id)
        if lock is None:
            return None
        now = self._clock.now()
        started = row.started_at or now
        end = now + timedelta(seconds=self._config.max_run_s)  # not from the first attempt: the clock may have been set
        deadline = end if row.deadline_at is None else min(end, row.deadline_at)
        job = ClaimedJob(
            row.id,
            row.client,
            TuneRequest.model_validate_json(row.request),
            child_path(self._folder, row.id),
            deadline,
            _epochs(connection, row.id),
            lock,
        )
        try:
            n_attempts = row.attempts + 1
            rows.change(connection, row.id, state="running", not_before=None, started_at=started, attempts=n_attempts)
            rows.add_event(connection, row.id, now, "state", "running", values={"attempt": n_attempts})
        except BaseException:
            lock.release()
            raise
        return job

    def _lost(self, connection: Connection, row: Row[Any], why: str = "its worker was killed") -> None:
        n_kills, now = row.n_kills + 1, self._clock.now()
        rows.add_event(connection, row.id, now, "warning", "worker-killed", text=why)
        if row.is_cancelling:
            self._end(connection, row, "cancelled")
        elif n_kills >= self._config.max_kills:
            detail = f"{why}, {n_kills} times without progress in between"
            self._end(connection, row, "failed", error=JobError(kind="worker-killed", detail=detail))
        else:
            rows.change(connection, row.id, state="queued", n_kills=n_kills)
            rows.add_event(connection, row.id, now, "state", "queued", text=why)

    def _end(
        self,
        connection: Connection,
        row: Row[Any],
        state: Any,  # noqa: ANN401 (a JobState)
        *,
        error: JobError | None = None,
        result: JobResult | None = None,
    ) -> None:
        rows.end(connection, row.id, self._clock.now(), state, error=error, result=result)
        rows.drop_inputs(connection, row.id)
        detail = state if error is None else f"{state}: {error.kind}"
        if result is not None:
            detail = f"{state}: candidate {result.candidate}"
        self._audit.append(
            connection, "job-ended", client=WORKER, subject=f"{row.camera}/{row.id}", outcome="done", detail=detail
        )

    def _try_lock(self, job_id: str) -> FolderLock | None:
        folder = child_path(self._folder, job_id)
        make_folder(folder)
        try:
            return FolderLock(folder)
        except DatasetError:
            return None

    def _release(self, job: ClaimedJob, *, remove: bool = False) -> None:
        if remove:
            remove_folder(job.folder, below=self._folder)
        job.lock.release()


def _in_turn(connection: Connection, now: datetime) -> list[Row[Any]]:
    """Return waiting jobs: of clients with the fewest running ones first, those served longest ago, then by age."""
    waiting = connection.execute(select(jobs).where(rows.is_due(now))).all()
    running = select(jobs.c.client, func.count()).where(jobs.c.state == "running").group_by(jobs.c.client)
    n_running: dict[str, int] = {row[0]: row[1] for row in connection.execute(running)}
    served = select(jobs.c.client, func.max(jobs.c.started_at)).group_by(jobs.c.client)
    last_served = {client: at or _NEVER for client, at in connection.execute(served)}
    return sorted(
        waiting, key=lambda row: (n_running.get(row.client, 0), last_served[row.client], row.created_at, row.id)
    )


def _row(connection: Connection, job_id: str) -> Row[Any]:
    return connection.execute(select(jobs).where(jobs.c.id == job_id)).one()


def _epochs(connection: Connection, job_id: str) -> frozenset[tuple[str, int]]:
    query = select(job_events).where(job_events.c.job_id == job_id, job_events.c.kind == "epoch")
    return frozenset((row.name, rows.event_of(row).values["epoch"]) for row in connection.execute(query).all())


def _late() -> JobError:
    return JobError(kind="deadline", detail="its deadline passed before a worker was free")
