"""Tuning jobs for clients: create one, look at it, wait for news, cancel it.

Clients name a job by a key, so that a repeated request creates no second job. Every change is one transaction with its
entry in the audit log.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select
from starlette.concurrency import run_in_threadpool

from edge_autotuner.config.server import JobsConfig
from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.deployment.bundle import ModelBundle, parse_description
from edge_autotuner.errors import ConfigError, DatasetError, ModelBundleError
from edge_autotuner.models.catalogue import find_model
from edge_autotuner.pipeline.remote_training.portable_settings import settings_from_portable
from edge_autotuner.server.access import Caller
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.blobs import Blobs
from edge_autotuner.server.database import Database
from edge_autotuner.server.jobs import rows
from edge_autotuner.server.jobs.dataset_check import DatasetFacts, read_dataset
from edge_autotuner.server.problems import Problem
from edge_autotuner.server.registry_rows import check_camera
from edge_autotuner.server.schema import job_events, jobs
from edge_autotuner.storage import is_plain_name
from edge_autotuner.wire.job_messages import (
    JobEvents,
    JobInfo,
    JobState,
    StartBundle,
    StartWeights,
    TuneRequest,
)

RECHECK_S = 0.5
"""Polling interval of a waiting request for changes by workers, which are other processes."""

_RETRY_S = "60"
_EVENTS_AT_ONCE = 500
_NAMED = 5  # missing contents that a refusal names


class JobStore:
    """Jobs; safe to share between threads."""

    def __init__(
        self, database: Database, blobs: Blobs, audit: AuditLog, config: JobsConfig, *, clock: Clock | None = None
    ) -> None:
        self._database, self._blobs, self._audit, self._config = database, blobs, audit, config
        self._clock = clock or SystemClock()
        self._is_closed = False
        self._parsing = threading.Lock()  # descriptions take many times their size in memory, so one at a time

    def create(self, request: TuneRequest, *, client: str) -> tuple[JobInfo, bool]:
        """Return the job of a request, and whether it is a new one.

        Raises:
            Problem: 404 there is no such camera; 409 contents have not been uploaded, or the key belongs to a job with
                other content; 422 the request is wrong; 429 the client has too many unfinished jobs; 507 the disk has
                no room.
        """
        text, digest = _canonical(request)
        there = self._known(client, request.key, digest)
        if there is not None:
            return there, False
        self._blobs.check_room()
        needed = self._check(request)
        now = self._clock.now()
        with self._database.writing() as connection:
            check_camera(connection, request.camera)
            twin = connection.execute(_by_key(client, request.key)).first()
            if twin is not None:  # another request of the same client was faster
                return _same(twin, digest), False
            self._check_quota(connection, client)
            rows.forget_more_than(connection, client, self._config.max_ended)
            job_id = f"j{secrets.token_hex(8)}"
            deadline = None if request.deadline_s is None else now + timedelta(seconds=request.deadline_s)
            named = {"id": job_id, "client": client, "key": request.key, "camera": request.camera}
            asked = {"request": text, "request_sha256": digest, "created_at": now, "deadline_at": deadline}
            connection.execute(insert(jobs).values({**named, **asked, **rows.QUEUED}))
            rows.add_blobs(connection, job_id, [(rows.INPUT, sha256) for sha256 in sorted(needed)])
            rows.add_event(connection, job_id, now, "state", "queued")
            subject = f"{request.camera}/{job_id}"
            self._audit.append(
                connection, "job-created", client=client, subject=subject, detail=f"dataset {request.dataset}"
            )
            return rows.info_of(connection.execute(select(jobs).where(jobs.c.id == job_id)).one()), True

    def get(self, job_id: str, caller: Caller) -> JobInfo:
        """Return a job; raises `Problem` 404, as all methods do for a job that the caller may not see."""
        with self._database.reading() as connection:
            return rows.info_of(_job(connection, job_id, caller))

    async def wait(self, job_id: str, caller: Caller, *, after: int | None, wait_s: float) -> JobInfo | None:
        """Wait up to `wait_s` for a revision other than `after`; None if there is none."""
        ends_at_s = self._clock.monotonic_s() + wait_s
        while True:
            found = await run_in_threadpool(self.get, job_id, caller)
            if found.revision != after:
                return found
            left_s = ends_at_s - self._clock.monotonic_s()
            if left_s <= 0 or self._is_closed:
                return None
            await asyncio.sleep(min(left_s, RECHECK_S))

    def events(self, job_id: str, caller: Caller, *, after: int) -> JobEvents:
        """Return the next events of a job, oldest first."""
        query = select(job_events).where(job_events.c.job_id == job_id, job_events.c.seq > after)
        with self._database.reading() as connection:
            _job(connection, job_id, caller)
            found = connection.execute(query.order_by(job_events.c.seq).limit(_EVENTS_AT_ONCE)).all()
        return JobEvents(events=tuple(rows.event_of(row) for row in found))

    def list(self, caller: Caller, *, camera: str | None, state: JobState | None, limit: int) -> list[JobInfo]:
        """Return the newest jobs of the caller, or of all clients for an administrator."""
        query = select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit)
        if not caller.may("admin"):
            query = query.where(jobs.c.client == caller.client)
        if camera is not None:
            query = query.where(jobs.c.camera == camera)
        if state is not None:
            query = query.where(jobs.c.state == state)
        with self._database.reading() as connection:
            return [rows.info_of(row) for row in connection.execute(query).all()]

    def cancel(self, job_id: str, caller: Caller) -> JobInfo:
        """Cancel a job; a running one ends within seconds, an ended one does not change."""
        with self._database.writing() as connection:
            row = _job(connection, job_id, caller)
            now = self._clock.now()
            if row.state in rows.UNFINISHED and not row.is_cancelling:
                rows.change(connection, job_id, is_cancelling=True)
                if row.state == "queued":
                    rows.end(connection, job_id, now, "cancelled")
                    rows.drop_inputs(connection, job_id)
                subject = f"{row.camera}/{job_id}"
                self._audit.append(connection, "job-cancelled", client=caller.client, subject=subject)
            return rows.info_of(_job(connection, job_id, caller))

    def counts(self) -> Mapping[str, int]:
        """Return the number of jobs in each state."""
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def close(self) -> None:
        """Answer all waiting requests."""
        self._is_closed = True

    def _known(self, client: str, key: str, digest: str) -> JobInfo | None:
        with self._database.reading() as connection:
            row = connection.execute(_by_key(client, key)).first()
        return None if row is None else _same(row, digest)

    def _check(self, request: TuneRequest) -> set[str]:
        """Check a request, and return the hashes of the contents that it needs."""
        try:
            settings_from_portable(request.settings, edge_model="start", ground_truth=Path("g"), reservoir=Path("r"))
        except ConfigError as exc:
            raise Problem(422, "bad-settings", str(exc)) from exc
        sizes: dict[str, int | None] = {}
        for model in (request.start, request.rival):
            sizes |= self._files_of(model)
        sizes[request.dataset] = None
        self._claim(sizes)
        dataset = self._read_dataset(request.dataset)
        sizes |= dataset.files
        self._claim(sizes)
        if dataset.n_bytes > self._config.max_dataset_mb * 1e6:
            n_mb, most_mb = dataset.n_bytes / 1e6, self._config.max_dataset_mb
            detail = f"the pictures have {n_mb:.0f} MB, the limit is {most_mb:g}"
            raise Problem(422, "dataset-too-large", detail)
        return set(sizes)

    def _files_of(self, start: StartBundle | StartWeights | None) -> dict[str, int | None]:
        """Return the contents of a model, and their sizes if known."""
        if start is None:
            return {}
        if isinstance(start, StartBundle):
            bundle = parse_start(start)
            return {file.sha256: file.n_bytes for file in (bundle.model, bundle.weights)}
        is_here = bool(self._blobs.claim([start.sha256]))
        return {start.sha256: None} if is_here or not _is_known(start) else {}

    def _claim(self, sizes: Mapping[str, int | None]) -> None:
        """Check that contents are there, and keep them until the job refers to them."""
        there = self._blobs.claim(sizes)
        missing = [sha256 for sha256 in sizes if sha256 not in there]
        if missing:
            named = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
            raise Problem(409, "blobs-missing", f"upload these {len(missing)} blobs first: {named}")
        for sha256, n_bytes in sizes.items():
            if n_bytes is not None and there[sha256] != n_bytes:
                detail = f"the blob {sha256} has {there[sha256]} bytes, not {n_bytes} as stated"
                raise Problem(422, "size-differs", detail)

    def _read_dataset(self, sha256: str) -> DatasetFacts:
        with self._parsing, self._blobs.open(sha256) as file:
            try:
                return read_dataset(file)
            except DatasetError as exc:
                raise Problem(422, "bad-dataset", str(exc)) from exc

    def _check_quota(self, connection: Connection, client: str) -> None:
        query = select(func.count()).where(jobs.c.client == client, jobs.c.state.in_(rows.UNFINISHED))
        if connection.execute(query).scalar_one() >= self._config.max_unfinished:
            detail = f"at most {self._config.max_unfinished} unfinished jobs are allowed; wait for one, or cancel one"
            raise Problem(429, "too-many-jobs", detail, headers={"Retry-After": _RETRY_S})


def parse_start(start: StartBundle) -> ModelBundle:
    """Return the described bundle, with the name of its folder as `folder`; raises `Problem` 422."""
    try:
        bundle = parse_description(start.description.encode())
    except (ModelBundleError, ValueError) as exc:  # ValueError: no UTF-8
        raise Problem(422, "not-a-bundle", f"the description cannot be used: {exc!s:.500}") from exc
    name = start.folder or (bundle.name if is_plain_name(bundle.name) else "start")
    return replace(bundle, folder=Path(name))


def _is_known(start: StartWeights) -> bool:
    """Whether the catalogue has a trainable model of this name; the worker compares the hash."""
    try:
        return find_model(start.name).architecture is not None
    except ConfigError:
        return False


def _canonical(request: TuneRequest) -> tuple[str, str]:
    """Return a request as text, and its hash without the deadline."""
    try:
        text = request.model_dump_json()
        values = request.model_dump(mode="json", exclude={"deadline_s"})
        plain = json.dumps(values, sort_keys=True, allow_nan=False)
    except (ValueError, RecursionError) as exc:
        raise Problem(422, "bad-settings", f"cannot store the request: {exc!s:.200}") from exc
    return text, hashlib.sha256(plain.encode()).hexdigest()


def _by_key(client: str, key: str) -> Any:  # noqa: ANN401 (a query of SQLAlchemy)
    return select(jobs).where(jobs.c.client == client, jobs.c.key == key)


def _same(row: Row[Any], digest: str) -> JobInfo:
    """Return the job of a key; raises `Problem` 409 if its content differs."""
    if row.request_sha256 != digest:
        raise Problem(409, "key-used", f"the key is used by job {row.id} with different content; choose another")
    return rows.info_of(row)


def _job(connection: Connection, job_id: str, caller: Caller) -> Row[Any]:
    query = select(jobs).where(jobs.c.id == job_id)
    if not caller.may("admin"):
        query = query.where(jobs.c.client == caller.client)
    row = connection.execute(query).first()
    if row is None:
        raise Problem(404, "unknown-job", f"this client has no job '{job_id}'")
    return row
