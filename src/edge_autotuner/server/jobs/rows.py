"""Rows of jobs: reads them, and changes them for clients and workers."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from edge_autotuner.core.json_limits import load_json
from edge_autotuner.server.schema import job_blobs, job_events, jobs
from edge_autotuner.wire.job_messages import (
    EventKind,
    JobError,
    JobEvent,
    JobInfo,
    JobProgress,
    JobResult,
    JobState,
)

MAX_EVENTS = 2000
"""Most events of a job; later ones are dropped, except changes of its state."""

INPUT = "input"
_ZEROS = {"n_done": 0, "attempts": 0, "n_kills": 0}
QUEUED = {"state": "queued", "is_cancelling": False, "task": "", "revision": 1, **_ZEROS}
"""Columns of a new job."""

UNFINISHED: tuple[JobState, ...] = ("queued", "running")

_MAX_TEXT = 2000
_FORGOTTEN_AT_ONCE = 100


def info_of(row: Row[Any]) -> JobInfo:
    """Return a job for clients."""
    error = None if row.error_kind is None else JobError(kind=row.error_kind, detail=row.error_detail or "")
    return JobInfo(
        id=row.id,
        key=row.key,
        client=row.client,
        camera=row.camera,
        state=row.state,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        attempts=row.attempts,
        progress=JobProgress(task=row.task, done=row.n_done, total=row.n_total),
        revision=row.revision,
        is_cancelling=row.is_cancelling and row.state in UNFINISHED,
        error=error,
        result=None if row.result is None else JobResult.model_validate_json(row.result),
    )


def event_of(row: Row[Any]) -> JobEvent:
    """Return an event for clients."""
    return JobEvent(
        seq=row.seq,
        at=row.at,
        kind=row.kind,
        name=row.name,
        text=row.text,
        values=load_json(row.data),
    )


def change(connection: Connection, job_id: str, **values: Any) -> None:  # noqa: ANN401 (columns of a job)
    """Change a job and its revision, which requests wait for."""
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(revision=jobs.c.revision + 1, **values))


def add_event(
    connection: Connection,
    job_id: str,
    now: datetime,
    kind: EventKind,
    name: str,
    *,
    text: str = "",
    values: Mapping[str, Any] | None = None,
) -> None:
    """Add an event to a job; beyond `MAX_EVENTS`, only changes of its state."""
    query = select(func.coalesce(func.max(job_events.c.seq), 0)).where(job_events.c.job_id == job_id)
    last = connection.execute(query).scalar_one()
    if last >= MAX_EVENTS and kind != "state":
        return
    connection.execute(
        insert(job_events).values(
            job_id=job_id,
            seq=last + 1,
            at=now,
            kind=kind,
            name=name[:100],
            text=text[:_MAX_TEXT],
            data=json.dumps(values or {}, allow_nan=False),
        )
    )


def end(
    connection: Connection,
    job_id: str,
    now: datetime,
    state: JobState,
    *,
    error: JobError | None = None,
    result: JobResult | None = None,
) -> None:
    """End a job."""
    change(
        connection,
        job_id,
        state=state,
        ended_at=now,
        error_kind=None if error is None else error.kind[:100],
        error_detail=None if error is None else error.detail[:_MAX_TEXT],
        result=None if result is None else result.model_dump_json(),
    )
    text = error.detail if error is not None else result.reason if result is not None else ""
    add_event(connection, job_id, now, "state", state, text=text)


def add_blobs(connection: Connection, job_id: str, blobs: Iterable[tuple[str, str]]) -> None:
    """Store contents that a job needs, or its results, as pairs of role and hash."""
    rows = [{"job_id": job_id, "role": role, "sha256": sha256} for role, sha256 in blobs]
    if rows:
        connection.execute(insert(job_blobs), rows)


def protected_blobs(connection: Connection) -> Collection[str]:
    """Return the contents of all stored jobs; see `ProtectedBlobs`."""
    return set(connection.execute(select(job_blobs.c.sha256).distinct()).scalars())


def forget(connection: Connection, now: datetime, keep_s: float) -> list[str]:
    """Delete jobs that ended before `keep_s`, with their rows; return their IDs."""
    before = now - timedelta(seconds=keep_s)
    old = select(jobs.c.id).where(jobs.c.ended_at.is_not(None), jobs.c.ended_at < before)
    return _forget(connection, list(connection.execute(old).scalars()))


def forget_more_than(connection: Connection, client: str, n_kept: int) -> list[str]:
    """Delete all but the newest ended jobs of a client; return their IDs."""
    ended = select(jobs.c.id).where(jobs.c.client == client, jobs.c.ended_at.is_not(None))
    newest_first = ended.order_by(jobs.c.ended_at.desc(), jobs.c.id.desc())
    return _forget(
        connection, list(connection.execute(newest_first.offset(n_kept).limit(_FORGOTTEN_AT_ONCE)).scalars())
    )


def _forget(connection: Connection, ids: list[str]) -> list[str]:
    if ids:
        connection.execute(delete(job_events).where(job_events.c.job_id.in_(ids)))
        connection.execute(delete(job_blobs).where(job_blobs.c.job_id.in_(ids)))
        connection.execute(delete(jobs).where(jobs.c.id.in_(ids)))
    return ids


def drop_inputs(connection: Connection, job_id: str) -> None:
    """Release the contents that a job needed."""
    connection.execute(delete(job_blobs).where(job_blobs.c.job_id == job_id, job_blobs.c.role == INPUT))


def is_due(now: datetime) -> Any:  # noqa: ANN401 (a condition of SQLAlchemy)
    """Return the condition for queued jobs that may begin now."""
    return (jobs.c.state == "queued") & or_(jobs.c.not_before.is_(None), jobs.c.not_before <= now)
