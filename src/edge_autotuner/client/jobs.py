"""Tuning jobs from the client's side: ask for one, follow it, fetch what it left.

A job belongs to its key: the same request again, after whatever kill or break, finds the same job. Contents travel
before the request, each at most once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from edge_autotuner.client.connection import Connection, path_of
from edge_autotuner.client.download import fetch_file
from edge_autotuner.client.uploads import Content, upload_missing
from edge_autotuner.core.clock import Deadline
from edge_autotuner.core.progress import Progress
from edge_autotuner.errors import ServiceBadReply, ServiceRefused
from edge_autotuner.storage import child_path
from edge_autotuner.storage.atomic import storage_errors
from edge_autotuner.wire.job_messages import (
    JobEvent,
    JobEvents,
    JobInfo,
    JobList,
    JobState,
    OutputFile,
    TuneRequest,
)
from edge_autotuner.wire.messages import Request

_WAIT_S = 25.0  # for news, in one request; proxies often give up after 60 s of silence
_MAX_OUTPUT_BYTES = 1 << 30
_UPLOADS_BEFORE_GIVING_UP = 3
_BLOBS_MISSING = "blobs-missing"


class _Nothing(Request):
    """A request that says everything by its address."""


class JobsClient:
    """Asks about jobs over a connection, which stays open. Everything raises as `Connection.get_json`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def url(self) -> str:
        """The address of the service."""
        return self._connection.url

    def submit(
        self,
        request: TuneRequest,
        contents: Mapping[str, Content],
        *,
        progress: Progress | None = None,
        deadline: Deadline | None = None,
    ) -> JobInfo:
        """Upload what the service misses, and ask for a job; again, and it is the same job.

        Args:
            request: what to do; its hashes are among the contents.
            contents: by their SHA-256.
            progress: told of the upload.
            deadline: no request is begun after it.

        Raises:
            ServiceRefused: there is no such camera, the client has too many jobs, the key is that of another request,
                or the service finds something wrong with it.
            ServiceBadReply: the answer is about another job.
            StorageError: a file cannot be read.
        """
        n_left = _UPLOADS_BEFORE_GIVING_UP
        while True:
            upload_missing(self._connection, contents, progress=progress, deadline=deadline)
            try:
                job = self._connection.post_json(path_of("jobs", "tune"), request, JobInfo, deadline=deadline)
            except ServiceRefused as exc:
                n_left -= 1
                if exc.kind != _BLOBS_MISSING or n_left == 0:
                    raise  # else an upload took so long that its beginning was tidied away
                continue
            if (job.key, job.camera) != (request.key, request.camera):
                raise ServiceBadReply(f"{self.url} answered about the job '{job.key:.100}' of camera '{job.camera}'")
            return job

    def job(self, job_id: str, *, deadline: Deadline | None = None) -> JobInfo:
        """Return a job."""
        return self._connection.get_json(path_of("jobs", job_id), JobInfo, deadline=deadline)

    def news_of(
        self, job_id: str, *, after: int, wait_s: float = _WAIT_S, deadline: Deadline | None = None
    ) -> JobInfo | None:
        """Return a job once its revision is not `after`; None when nothing changed within `wait_s`."""
        query: dict[str, str | int | float] = {"after": after, "wait_s": wait_s}
        return self._connection.poll_json(
            path_of("jobs", job_id), JobInfo, query=query, wait_s=wait_s, deadline=deadline
        )

    def wait(
        self, job: JobInfo, on_change: Callable[[JobInfo], None] | None = None, *, deadline: Deadline | None = None
    ) -> JobInfo:
        """Return a job when it has ended.

        Args:
            job: as it was known last.
            on_change: told of the job at first, and each time that something changed.
            deadline: no request is begun after it.

        Raises:
            ServiceUnreachable: the service does not answer within the attempts; the job goes on there.
            ServiceRefused: the service does not know the job any more.
            ServiceBadReply: it answers with something that is no news, which would be asked for without end.
        """
        tell = on_change or (lambda _: None)
        tell(job)
        while not job.has_ended:
            news = self.news_of(job.id, after=job.revision, deadline=deadline)
            if news is None:
                continue
            if news.id != job.id or news.revision == job.revision:
                raise ServiceBadReply(f"{self.url} was asked for news of the job {job.id}, and answered with none")
            job = news
            tell(job)
        return job

    def events(self, job_id: str, *, after: int = 0) -> tuple[JobEvent, ...]:
        """Return all events of a job behind the one with the number `after`, oldest first."""
        found: list[JobEvent] = []
        while True:
            last = found[-1].seq if found else after
            more = self._connection.get_json(path_of("jobs", job_id, "events"), JobEvents, query={"after": last})
            if not more.events:
                return tuple(found)
            if any(event.seq <= last for event in more.events):
                raise ServiceBadReply(f"{self.url} gave events of the job {job_id} that were not asked for")
            found += more.events

    def jobs(
        self, *, camera: str | None = None, state: JobState | None = None, limit: int | None = None
    ) -> tuple[JobInfo, ...]:
        """Return this client's jobs, newest first; those of all clients for an administrator."""
        asked: dict[str, str | int | None] = {"camera": camera, "state": state, "limit": limit}
        query = {name: value for name, value in asked.items() if value is not None}
        return self._connection.get_json(path_of("jobs"), JobList, query=query).jobs

    def cancel(self, job_id: str) -> JobInfo:
        """Ask the service to stop a job; one that runs lets go within seconds."""
        return self._connection.post_json(path_of("jobs", job_id, "cancel"), _Nothing(), JobInfo)

    def fetch(self, job: JobInfo, folder: Path, *, progress: Progress | None = None) -> dict[str, Path]:
        """Download everything that a job left; what is there already is kept, and a broken download goes on.

        Args:
            job: with a result.
            folder: exists; each file gets the name of its role.
            progress: told of each file.

        Returns:
            The files by their roles; sizes and hashes are those that the job names.

        Raises:
            ServiceRefused: the service has tidied something away.
            ServiceBadReply: the job has no result, or something is not what it should be.
            StorageError: the disk is full or refuses; what arrived is kept.
        """
        files = _files_of(job)
        if progress is not None:
            progress.start("download", len(files))
        for file in files:
            target = child_path(folder, file.role)
            if not _is_there(target, file):
                blob = path_of("blobs", file.sha256)
                fetch_file(self._connection, blob, target, sha256=file.sha256, n_bytes=file.n_bytes)
            if progress is not None:
                progress.advance()
        if progress is not None:
            progress.finish()
        return {file.role: child_path(folder, file.role) for file in files}


def _files_of(job: JobInfo) -> tuple[OutputFile, ...]:
    """Return what is to be fetched, after checking that it can be fetched.

    Raises:
        ServiceBadReply: there is no result, or it cannot be right.
    """
    if job.result is None:
        raise ServiceBadReply(f"the job {job.id} is {job.state} and has no result")
    roles = [file.role for file in job.result.files]
    if len(set(roles)) < len(roles):
        raise ServiceBadReply(f"the job {job.id} names two files for one purpose")
    if any(not 0 < file.n_bytes <= _MAX_OUTPUT_BYTES for file in job.result.files):
        raise ServiceBadReply(f"the job {job.id} names a file of no usual size")
    return job.result.files


def _is_there(path: Path, file: OutputFile) -> bool:
    if not path.is_file():
        return False
    with storage_errors(path), path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
