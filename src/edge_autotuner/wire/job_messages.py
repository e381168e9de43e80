"""Messages about tuning jobs; see `messages` for the rules.

A request for a job holds hashes only: all contents are uploaded before, like those of bundles.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from edge_autotuner.config.base import PlainName
from edge_autotuner.config.texts import BundleId, Explanation, JobId, JsonTable, Sha256, ShownLine
from edge_autotuner.core.json_limits import JsonLimits
from edge_autotuner.wire.messages import LONG_LIST, Reply, Request
from edge_autotuner.wire.registry_messages import MAX_DESCRIPTION

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
"""queued: waits for a worker, also after the last one was killed; done, failed and cancelled are final."""

ENDED: tuple[JobState, ...] = ("done", "failed", "cancelled")

JobKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""A client's name of a job, derived from its content; the same request again finds the same job."""

OutputRole = Literal[
    "candidate.description",
    "candidate.signature",
    "candidate.model",
    "candidate.weights",
    "start.description",
    "start.signature",
    "start.model",
    "start.weights",
    "evaluation",
    "report",
    "stages",
    "replay",
]
"""Results of a job.

candidate.*, start.*: the bundles that the export wrote. evaluation: evaluation.json. report: report.html. stages: JSON,
the run's records of training, evaluation and export by name. replay: JSON lines, the pictures that the training offers
to the camera's reservoir, see `read_replay_offers` in `pipeline.remote_training.run_files`. A job that ended early
leaves fewer.
"""

EventKind = Literal["state", "stage", "epoch", "warning"]


class StartBundle(Request):
    """A bundle whose files have been uploaded.

    Attributes:
        description: text of its bundle.json, exactly as written; it names its files' hashes.
        folder: name of its folder, which the candidate's lineage refers to; None: the name in the description.
    """

    description: str = Field(min_length=2, max_length=MAX_DESCRIPTION)
    folder: PlainName | None = None


class StartWeights(Request):
    """Weights without a bundle.

    Attributes:
        name: the model's name in reports.
        sha256: of the uploaded weights (safetensors), or of the model of this name in the service's catalogue.
        architecture: None: detected from the weights.
    """

    name: PlainName
    sha256: Sha256
    architecture: PlainName | None = None


class TuneRequest(Request):
    """Asks for training, evaluation and export on uploaded data.

    Attributes:
        key: chosen by the client.
        camera: that the candidate is for; must be registered.
        settings: those of `RunConfig` that these stages use; `pipeline.remote_training.portable_settings` makes them.
        start: the model to improve.
        rival: the specialized bundle that the candidate must beat, if that is not the start.
        parent: ID of the start in the registry, for the candidate's lineage.
        dataset: hash of the description that `pipeline.remote_training.run_files.describe_run` makes.
        deadline_s: time limit of the job, seconds from now; None: the service's own limit.
    """

    json_limits = JsonLimits(max_bytes=5 << 20, max_items=5000, max_depth=16)

    key: JobKey
    camera: PlainName
    settings: JsonTable
    start: StartBundle | StartWeights
    rival: StartBundle | None = None
    parent: BundleId | None = None
    dataset: Sha256
    deadline_s: float | None = Field(None, ge=1, le=30 * 86_400)


class JobProgress(Reply):
    """The progress of a job.

    Attributes:
        task: the current stage, such as training or evaluation; empty before the start.
        done: finished steps of the task.
        total: number of steps; None if unknown.
    """

    task: ShownLine = ""
    done: int = 0
    total: int | None = None


class JobError(Reply):
    """Why a job failed.

    Attributes:
        kind: the error's class, such as NoLabelsFound, or deadline, worker-killed, too-large.
        detail: a sentence for people.
    """

    kind: ShownLine
    detail: Explanation


class OutputFile(Reply):
    """A result of a job; `GET /v1/blobs/SHA256` fetches it."""

    role: OutputRole
    sha256: Sha256
    n_bytes: int


class JobResult(Reply):
    """The result of a job.

    Attributes:
        promoted: whether the candidate beats the start, or the rival.
        reason: why.
        metrics: of the candidate, from its description.
        candidate: ID of the candidate in the registry.
        files: to fetch.
    """

    promoted: bool
    reason: Explanation
    metrics: JsonTable
    candidate: BundleId | None
    files: tuple[OutputFile, ...] = Field(max_length=100, fail_fast=True)


class JobInfo(Reply):
    """A tuning job.

    Attributes:
        id: its ID in requests.
        key: chosen by the client.
        client: name of the client.
        camera: that the candidate is for.
        state: queued, running, done, failed or cancelled.
        created_at: aware UTC time.
        started_at: of the first attempt.
        ended_at: None before its end.
        attempts: how often a worker took it.
        progress: of the current stage.
        revision: grows with every change of these facts.
        is_cancelling: whether it was cancelled and its worker has not stopped yet.
        error: of a failed job.
        result: of a job that is done.
    """

    id: JobId
    key: JobKey
    client: ShownLine
    camera: PlainName
    state: JobState
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempts: int
    progress: JobProgress
    revision: int
    is_cancelling: bool = False
    error: JobError | None = None
    result: JobResult | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the state is final."""
        return self.state in ENDED


class JobList(Reply):
    """Jobs, newest first."""

    json_limits = LONG_LIST

    jobs: tuple[JobInfo, ...] = Field(max_length=1000, fail_fast=True)


class JobEvent(Reply):
    """An event of a job.

    Attributes:
        seq: position among the job's events, from 1.
        at: aware UTC time.
        kind: state, stage, epoch or warning.
        name: the state, the stage, or the training.
        text: for people.
        values: for programs, such as epoch, loss and val_ap.
    """

    seq: int
    at: datetime
    kind: EventKind
    name: ShownLine
    text: Explanation = ""
    values: JsonTable = Field(default_factory=dict)


class JobEvents(Reply):
    """The next events, oldest first; repeat the request after the last of them for more."""

    json_limits = LONG_LIST

    events: tuple[JobEvent, ...] = Field(max_length=1000, fail_fast=True)
