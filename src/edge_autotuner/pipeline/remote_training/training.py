"""Training, evaluation and export of a run at a service; the run's folder is afterwards as if it had been done here.

The same call goes on after any kill or break, here or there, and ends with the same job: what was asked for is noted
before it is asked for. Needs no torch.

RUN/job.json    what the service was asked for, and whether its results are here
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_autotuner import errors
from edge_autotuner.annotation import with_grid_of
from edge_autotuner.client.contents import Content
from edge_autotuner.client.jobs import JobsClient
from edge_autotuner.client.registry import RegistryClient
from edge_autotuner.core import LabelMap, Progress
from edge_autotuner.core.json_limits import load_json
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.deployment import ModelBundle
from edge_autotuner.deployment.bundle import read_description
from edge_autotuner.deployment.signing import PublicKey
from edge_autotuner.errors import ConfigError, EdgeAutotunerError, NoLabelsFound, ServiceRefused, TrainingError
from edge_autotuner.pipeline.edge_weights import EdgeWeights, find_weights
from edge_autotuner.pipeline.incumbent import find_incumbent
from edge_autotuner.pipeline.loop import EXPORT
from edge_autotuner.pipeline.remote_training.portable_settings import portable_settings
from edge_autotuner.pipeline.remote_training.results import fetch_results
from edge_autotuner.pipeline.remote_training.run_files import describe_run
from edge_autotuner.pipeline.session import Session
from edge_autotuner.pipeline.training_identity import settings_fingerprint, take_snapshot, training_fingerprint
from edge_autotuner.storage.atomic import atomic_write_json, make_folder
from edge_autotuner.storage.lock import FolderLock
from edge_autotuner.wire.job_messages import JobInfo, StartBundle, StartWeights, TuneRequest

logger = logging.getLogger(__name__)

_NOTE_FILE = "job.json"
_SAFETENSORS = ".safetensors"
_NO_CAMERA = "unknown-camera"


@dataclass(frozen=True)
class TrainingService:
    """A service that trains.

    Attributes:
        jobs: asks for jobs.
        registry: asks about the camera that a job is for.
        camera: name of it at the service.
        trusted: keys, one of which must have signed the candidate; none: hashes alone are checked.
        parent_of: returns the registry's id of the bundle in a folder; None where it is not known there.
        deadline_s: from the request on, when a job must have ended; None: the service's own limit.
    """

    jobs: JobsClient
    registry: RegistryClient
    camera: str
    trusted: tuple[PublicKey, ...] = ()
    parent_of: Callable[[Path], str | None] = field(default=lambda _: None)
    deadline_s: float | None = None


@dataclass(frozen=True)
class _Note:
    """What `job.json` says.

    Attributes:
        request: the last one, as it was sent or is about to be sent.
        identity: of what it is about.
        attempt: counts the jobs that were asked for with this identity; one that failed is not found again.
        job: its id; None before the service has given one.
        is_here: whether its results are in the run's folder.
    """

    request: TuneRequest
    identity: str
    attempt: int
    job: str | None = None
    is_here: bool = False


def tune_at_service(session: Session, service: TrainingService) -> JobInfo | None:
    """Let the service train, evaluate and export, and bring the results into the run's folder.

    Args:
        session: of an annotated run.
        service: that does it.

    Returns:
        The job; None where its results were here already.

    Raises:
        DatasetError: the run is not annotated, or damaged, or another process trains in it.
        ConfigError: the service cannot start from the edge model of the settings.
        NoLabelsFound, DeadlineTooShort, TrainingDiverged: as the training here.
        TrainingError: the job failed, or was cancelled; the same call asks for a new one.
        ServiceError: the service cannot be reached, or refuses; the same call goes on.
        ModelBundleError: the candidate is damaged, or nobody trusted has signed it.
    """
    trainings = session.folder.path / "training"
    make_folder(trainings)
    lock = FolderLock(trainings)  # as a training here takes it
    try:
        return _tune(_without_hidden_replay(session), service)
    finally:
        lock.release()


def _tune(session: Session, service: TrainingService) -> JobInfo | None:
    request, contents, incumbent = _asked_for(session, service)
    note = _noted(session, request)
    session.folder.save_settings(session.config)
    if note.is_here and session.folder.stage(EXPORT.name) is not None:
        return None
    _write(session, note)
    job = _submit(service, note.request, contents, session.progress)
    note = replace(note, job=job.id)
    _write(session, note)
    logger.info("%s: job %s at %s is %s", session.folder.path.name, job.id, service.jobs.url, job.state)
    job = service.jobs.wait(job, ProgressOfJob(session.progress).tell)
    try:
        if job.state != "done":
            raise _error_of(job)
        fetch_results(session, job, service.jobs, incumbent=incumbent, trusted=service.trusted, camera=service.camera)
    except (TrainingError, NoLabelsFound, ServiceRefused):  # there will be no results of this job: another one may do
        _write(session, _next(note))
        raise
    _write(session, replace(note, is_here=True))
    return job


def _without_hidden_replay(session: Session) -> Session:
    """Return the session without a reservoir where privacy settings keep the pictures of one from leaving."""
    config = session.config
    replay = config.training.replay
    if not config.privacy.is_on or replay.folder is None:
        return session
    logger.info("%s: replay is off, because privacy settings apply to uploads", session.folder.path.name)
    training = config.training.model_copy(update={"replay": replay.model_copy(update={"folder": None})})
    return replace(session, config=config.model_copy(update={"training": training}))


class ProgressOfJob:
    """Shows the progress of a job as if it were done here."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: str | None = None
        self._done = 0

    def tell(self, job: JobInfo) -> None:
        """Take note of where a job is."""
        if job.has_ended:
            if self._task is not None:
                self._progress.finish()
            return
        now = job.progress
        task = now.task if job.state == "running" and now.task else f"job {job.state}"
        if task != self._task or now.done < self._done:
            if self._task is not None:
                self._progress.finish()
            self._task, self._done = task, 0
            self._progress.start(task, now.total if task == now.task else None)
        if task == now.task and now.done > self._done:
            self._progress.advance(now.done - self._done)
            self._done = now.done


def _asked_for(
    session: Session, service: TrainingService
) -> tuple[TuneRequest, dict[str, Content], ModelBundle | None]:
    """Return a request without its key, all contents that it names, and the incumbent among these."""
    folder, config = session.folder, session.config
    weights = find_weights(config)
    sha256 = weights.sha256
    snapshot = take_snapshot(folder, config, settings_fingerprint(folder, config, sha256))
    description, files = describe_run(folder, config, replay=snapshot)
    contents: dict[str, Content] = dict(files)
    digest = hashlib.sha256(description).hexdigest()
    contents[digest] = description
    with DatasetStore.open(folder.dataset) as store:
        labels: LabelMap = store.labels
        looked = with_grid_of(store, config.annotation)
        settled = looked.model_copy(update={"tile_grid": max(looked.grid_wh)})  # earlier services know no other form
    incumbent = find_incumbent(session, training_fingerprint(folder, config, sha256), labels)
    for bundle in (weights.bundle, incumbent):
        if bundle is not None:
            contents |= {bundle.model.sha256: bundle.model_path, bundle.weights.sha256: bundle.weights_path}
    start = _start_of(weights, sha256, contents)
    try:
        request = TuneRequest(
            key="later",
            camera=service.camera,
            settings=portable_settings(config.model_copy(update={"annotation": settled})),
            start=start,
            rival=_described(incumbent) if incumbent is not None else None,
            parent=service.parent_of(weights.bundle.folder) if weights.bundle is not None else None,
            dataset=digest,
            deadline_s=service.deadline_s,
        )
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"not possible at a service: {where}: {first['msg']}") from exc
    return request, contents, incumbent


def _start_of(weights: EdgeWeights, sha256: str, contents: dict[str, Content]) -> StartBundle | StartWeights:
    """Return the model that training starts from; a weights file is added to the contents.

    Raises:
        ConfigError: the service cannot read it.
    """
    if weights.bundle is not None:
        return _described(weights.bundle)
    if weights.path.suffix != _SAFETENSORS:
        raise ConfigError(
            f"a service can train bundles and .safetensors files only, and the edge model {weights.name} is "
            f"{weights.path.name}; set edge_model to one of these"
        )
    contents[sha256] = weights.path
    try:
        return StartWeights(name=weights.name, sha256=sha256, architecture=weights.architecture)
    except ValidationError as exc:
        raise ConfigError(
            f"the name of the weights file {weights.path} may have only letters, digits, dots, dashes and underscores"
        ) from exc


def _described(bundle: ModelBundle) -> StartBundle:
    text = read_description(bundle.folder).decode("utf-8")
    return StartBundle(description=text, folder=bundle.folder.name)


def _noted(session: Session, request: TuneRequest) -> _Note:
    """Return the note of this request: the one on the disk where it is about the same thing.

    What may change meanwhile does not make another job: the parent, which the registry may have got to know, and how
    long the job may take.
    """
    values = request.model_dump(mode="json", exclude={"key", "parent", "deadline_s"})
    identity = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    there = _read(session.folder.path)
    if there is not None and there.identity == identity:
        return there
    return _Note(_with_key(request, identity, 1), identity, 1)


def _next(note: _Note) -> _Note:
    """Return the note of another job for the same thing."""
    attempt = note.attempt + 1
    return _Note(_with_key(note.request, note.identity, attempt), note.identity, attempt)


def _with_key(request: TuneRequest, identity: str, attempt: int) -> TuneRequest:
    return request.model_copy(update={"key": f"tune-{identity[:40]}-{attempt}"})


def _read(folder: Path) -> _Note | None:
    """Read the note in a run's folder; None if it is missing or damaged: the job is then found again."""
    try:
        values = load_json((folder / _NOTE_FILE).read_text(encoding="utf-8"))
        return _Note(**{**values, "request": TuneRequest.model_validate(values["request"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(session: Session, note: _Note) -> None:
    values: dict[str, Any] = {**vars(note), "request": note.request.model_dump(mode="json")}
    atomic_write_json(session.folder.path / _NOTE_FILE, values, indent=2)


def _submit(
    service: TrainingService, request: TuneRequest, contents: dict[str, Content], progress: Progress
) -> JobInfo:
    """Ask for the job; a camera that the registry does not know yet is added to it."""
    try:
        return service.jobs.submit(request, contents, progress=progress)
    except ServiceRefused as exc:
        if exc.kind != _NO_CAMERA:
            raise
    service.registry.put_camera(service.camera)
    return service.jobs.submit(request, contents, progress=progress)


def _error_of(job: JobInfo) -> EdgeAutotunerError:
    """Return the error that a job ended with: the same class as here where the service names one of ours."""
    if job.state == "cancelled":
        return TrainingError(f"the job {job.id} was cancelled; repeat the command to start a new one")
    error = job.error
    if error is None:
        return TrainingError(f"the job {job.id} failed, and the service gave no reason")
    kind = getattr(errors, error.kind, None)
    said = f"{error.detail} (job {job.id} at the service)"
    if isinstance(kind, type) and issubclass(kind, (errors.TrainingError, errors.NoLabelsFound)):
        return kind(said)
    return TrainingError(f"{error.kind}: {said}")
