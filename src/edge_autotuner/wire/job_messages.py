"""What an edge node and the service say to each other about tuning jobs; see `messages` for the rules.

A job is asked for with hashes only: all contents are uploaded before, like those of bundles.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from edge_autotuner.config.base import PlainName
from edge_autotuner.config.texts import BundleId, Explanation, JobId, JsonTable, Sha256, ShownLine
from edge_autotuner.core.json_limits import JsonLimits
from edge_autotuner.wire.messages import LONG_LIST, MAX_DESCRIPTION, Reply, Request

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
"""queued: waits for a worker, also again after one was killed; the last three are for ever."""

ENDED: tuple[JobState, ...] = ("done", "failed", "cancelled")

JobKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""What a client calls a job, derived from its content; the same request again finds the same job."""

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
"""What a job leaves.

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
        folder: name of its folder, which the lineage of a candidate refers to; None: the name in the description.
    """

    description: str = Field(min_length=2, max_length=MAX_DESCRIPTION)
    folder: PlainName | None = None


class StartWeights(Request):
    """Weights that are no bundle.

    Attributes:
        name: how reports call the model.
        sha256: of the weights, safetensors, uploaded; or those of a model that the service knows by this name.
        architecture: None: found out.
    """

    name: PlainName
    sha256: Sha256
    architecture: PlainName | None = None


class TuneRequest(Request):
    """Asks for training, evaluation and export on uploaded data.

    Attributes:
        key: chosen by the client.
        camera: whose candidate it becomes; must be registered.
        settings: those of `RunConfig` that these stages use; `pipeline.remote_training.portable_settings` makes them.
        start: the model to improve.
        rival: the bundle that the candidate has to beat, where that is not the start; it must be a specialized one.
        parent: id of the start in the registry, for the candidate's lineage.
        dataset: hash of the description that `pipeline.remote_training.run_files.describe_run` makes.
        deadline_s: seconds from now until when the job must have ended; None: as long as the service allows.
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
    """Where a job is.

    Attributes:
        task: what it does, such as training or evaluation; empty before it began.
        done: steps of the task.
        total: all of them; None: nobody knows.
    """

    task: ShownLine = ""
    done: int = 0
    total: int | None = None


class JobError(Reply):
    """Why a job failed.

    Attributes:
        kind: the error's class, such as NoLabelsFound; or deadline, worker-killed, disk.
        detail: the same for people.
    """

    kind: ShownLine
    detail: Explanation


class OutputFile(Reply):
    """Something that a job left; `GET /v1/blobs/SHA` fetches it."""

    role: OutputRole
    sha256: Sha256
    n_bytes: int


class JobResult(Reply):
    """What came of a job.

    Attributes:
        promoted: whether the candidate is better than the start, or the rival.
        reason: why.
        metrics: of the candidate, as its description has them.
        candidate: id of the candidate in the registry.
        files: what to fetch.
    """

    promoted: bool
    reason: Explanation
    metrics: JsonTable
    candidate: BundleId | None
    files: tuple[OutputFile, ...] = Field(max_length=100, fail_fast=True)


class JobInfo(Reply):
    """A tuning job.

    Attributes:
        id: how requests call it.
        key: how its client calls it.
        client: who asked.
        camera: whose candidate it makes.
        state: where it stands.
        created_at: aware UTC time.
        started_at: of the first attempt.
        ended_at: None before its end.
        attempts: how often a worker took it.
        progress: of the stage that runs.
        revision: grows with every change of what is said here.
        is_cancelling: whether it was cancelled and its worker has not let go yet.
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
        """Whether nothing will change any more."""
        return self.state in ENDED


class JobList(Reply):
    """Jobs, newest first."""

    json_limits = LONG_LIST

    jobs: tuple[JobInfo, ...] = Field(max_length=1000, fail_fast=True)


class JobEvent(Reply):
    """Something that happened to a job.

    Attributes:
        seq: counts the events of a job, from 1.
        at: aware UTC time.
        kind: what it is about.
        name: the state, the stage, or what is trained.
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
    """The events after the one that was asked for, oldest first; ask again after the last of them for more."""

    json_limits = LONG_LIST

    events: tuple[JobEvent, ...] = Field(max_length=1000, fail_fast=True)
