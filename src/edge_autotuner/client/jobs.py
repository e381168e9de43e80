"""Client of tuning jobs: submit one, follow it, fetch its results.

A job is identified by its key: the same request again, after a kill or a break, finds the same job. Contents are
uploaded before the request, each at most once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edge_autotuner.client.connection import Connection, path_of
from edge_autotuner.client.contents import Content, fetch_file, upload_missing
from edge_autotuner.core.clock import Deadline
from edge_autotuner.core.progress import NoProgress, Progress
from edge_autotuner.errors import ServiceBadReply, ServiceRefused
from edge_autotuner.storage import child_path, file_sha256
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
from edge_autotuner.wire.messages import Empty

_WAIT_S = 25.0  # for news, in one request; proxies often give up after 60 s of silence
_MAX_OUTPUT_BYTES = 1 << 30
_UPLOADS_BEFORE_GIVING_UP = 3
_BLOBS_MISSING = "blobs-missing"


class JobsClient:
    """Tuning jobs over a connection, which stays open. All methods raise as `Connection.get_json`."""

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
        """Upload the missing contents and submit a job; the same request again returns the same job.

        `contents` has the hashes in the request as keys; `progress` is that of their upload. No request begins after
        the deadline.

        Raises:
            ServiceRefused: there is no such camera, the client has too many jobs, the key belongs to another request,
                or the request is wrong.
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
                    raise  # else the first contents were collected while the last ones were uploaded
                continue
            if (job.key, job.camera) != (request.key, request.camera):
                raise ServiceBadReply(f"{self.url} returned the wrong job '{job.key:.100}' of camera '{job.camera}'")
            return job

    def job(self, job_id: str, *, deadline: Deadline | None = None) -> JobInfo:
        """Return a job."""
        return self._connection.get_json(path_of("jobs", job_id), JobInfo, deadline=deadline)

    def news_of(
        self, job_id: str, *, after: int, wait_s: float = _WAIT_S, deadline: Deadline | None = None
    ) -> JobInfo | None:
        """Return a job once its revision differs from `after`; None if nothing changed within `wait_s`."""
        query: dict[str, str | int | float] = {"after": after, "wait_s": wait_s}
        return self._connection.poll_json(
            path_of("jobs", job_id), JobInfo, query=query, wait_s=wait_s, deadline=deadline
        )

    def wait(
        self, job: JobInfo, on_change: Callable[[JobInfo], None] | None = None, *, deadline: Deadline | None = None
    ) -> JobInfo:
        """Wait until a job has ended, and return it.

        Args:
            job: its last known state.
            on_change: called with the job at the start and after each change.
            deadline: no request begins after it.

        Raises:
            ServiceUnreachable: the service does not answer within the attempts; the job continues there.
            ServiceRefused: the service has deleted the job.
            ServiceBadReply: the answer is about another job, or not new.
        """
        tell = on_change or (lambda _: None)
        tell(job)
        while not job.has_ended:
            news = self.news_of(job.id, after=job.revision, deadline=deadline)
            if news is None:
                continue
            if news.id != job.id or news.revision == job.revision:
                raise ServiceBadReply(f"{self.url} returned no update for the job {job.id}")
            job = news
            tell(job)
        return job

    def events(self, job_id: str, *, after: int = 0) -> tuple[JobEvent, ...]:
        """Return all events of a job after number `after`, oldest first."""
        found: list[JobEvent] = []
        while True:
            last = found[-1].seq if found else after
            more = self._connection.get_json(path_of("jobs", job_id, "events"), JobEvents, query={"after": last})
            if not more.events:
                return tuple(found)
            if any(event.seq <= last for event in more.events):
                raise ServiceBadReply(f"{self.url} returned unrequested events for the job {job_id}")
            found += more.events

    def jobs(
        self, *, camera: str | None = None, state: JobState | None = None, limit: int | None = None
    ) -> tuple[JobInfo, ...]:
        """Return the jobs of this client, newest first; an administrator gets those of all clients."""
        asked: dict[str, str | int | None] = {"camera": camera, "state": state, "limit": limit}
        query = {name: value for name, value in asked.items() if value is not None}
        return self._connection.get_json(path_of("jobs"), JobList, query=query).jobs

    def cancel(self, job_id: str) -> JobInfo:
        """Cancel a job; a running one stops within seconds."""
        return self._connection.post_json(path_of("jobs", job_id, "cancel"), Empty(), JobInfo)

    def fetch(self, job: JobInfo, folder: Path, *, progress: Progress | None = None) -> dict[str, Path]:
        """Download the results of a job that are not in a folder yet, and return all of them by role, verified.

        Args:
            job: with a result.
            folder: must exist; each file gets the name of its role.
            progress: of the files.

        Raises:
            ServiceRefused: the service has deleted a result.
            ServiceBadReply: the job has no result, or a file has another size or hash.
            StorageError: the disk is full or refuses; a partial download is kept.
        """
        files, progress = _files_of(job), progress or NoProgress()
        progress.start("download", len(files))
        for file in files:
            target = child_path(folder, file.role)
            if not _is_there(target, file):
                blob = path_of("blobs", file.sha256)
                fetch_file(self._connection, blob, target, sha256=file.sha256, n_bytes=file.n_bytes)
            progress.advance()
        progress.finish()
        return {file.role: child_path(folder, file.role) for file in files}


def _files_of(job: JobInfo) -> tuple[OutputFile, ...]:
    """Return the files of a job's result; raises `ServiceBadReply` if there is none, or it cannot be right."""
    if job.result is None:
        raise ServiceBadReply(f"the job {job.id} is {job.state} and has no result")
    roles = [file.role for file in job.result.files]
    if len(set(roles)) < len(roles):
        raise ServiceBadReply(f"the job {job.id} names two files for one purpose")
    if any(not 0 < file.n_bytes <= _MAX_OUTPUT_BYTES for file in job.result.files):
        raise ServiceBadReply(f"the job {job.id} names a file of invalid size")
    return job.result.files


def _is_there(path: Path, file: OutputFile) -> bool:
    with storage_errors(path):
        return path.is_file() and file_sha256(path) == file.sha256
