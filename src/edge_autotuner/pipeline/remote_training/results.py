"""Brings what a job has left at a service into a run's folder: everything is checked before anything is used.

RUN/incoming/JOB/    what has arrived so far
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from edge_autotuner.client.jobs import JobsClient
from edge_autotuner.core.json_fields import Fields, parse_json
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.dataset.pictures import read_file
from edge_autotuner.dataset.replay import ReplayReservoir
from edge_autotuner.deployment import ModelBundle, install_bundle
from edge_autotuner.deployment.acceptance import check_camera
from edge_autotuner.deployment.bundle import DESCRIPTION_FILE, SIGNATURE_FILE, parse_description
from edge_autotuner.deployment.deployed import note_registry_id
from edge_autotuner.deployment.signing import PublicKey
from edge_autotuner.errors import DatasetError, ModelBundleError, ServiceBadReply
from edge_autotuner.pipeline.edge_weights import find_weights
from edge_autotuner.pipeline.evaluation_result import read_evaluation
from edge_autotuner.pipeline.incumbent import deploy_winner
from edge_autotuner.pipeline.loop import EVALUATION, EXPORT, stages_between
from edge_autotuner.pipeline.remote_training.run_files import read_replay_offers
from edge_autotuner.pipeline.run_folder import StageRecord, read_stage_record
from edge_autotuner.pipeline.session import Session
from edge_autotuner.pipeline.stage_results import ExportResult, Incumbent
from edge_autotuner.storage import child_path, is_plain_name, remove_folder
from edge_autotuner.storage.atomic import atomic_write_bytes, make_folder
from edge_autotuner.wire.job_messages import JobInfo

INCOMING = "incoming"

_STAGES = tuple(stage.name for stage in stages_between("training", "export"))
_FINGERPRINT = re.compile(r"[0-9a-f]{8,64}")
_NEEDED = (
    *(f"{kind}.{part}" for kind in ("candidate", "start") for part in ("description", "model", "weights")),
    "evaluation",
    "report",
    "stages",
)


def fetch_results(
    session: Session,
    job: JobInfo,
    client: JobsClient,
    *,
    incumbent: ModelBundle | None,
    trusted: tuple[PublicKey, ...],
    camera: str,
) -> None:
    """Download the results of a job that is done, and put each where the stage that makes it here would.

    The records of the stages come last: a kill before leaves a run whose training is not done, and the same call goes
    on.

    Args:
        session: of the run that the job was for.
        job: done.
        client: fetches.
        incumbent: bundle that the job has compared the candidate with; None: the start model.
        trusted: keys, one of which must have signed a candidate that is deployed; none: hashes alone are checked. One
            that was not promoted is never signed, and never deployed.
        camera: that the candidate is for.

    Raises:
        ServiceBadReply: something is missing, damaged, or contradicts something else.
        ModelBundleError: a bundle is damaged, or nobody trusted has signed it.
        ServiceError: the service cannot be reached; what has arrived is kept.
        StorageError: the disk refused.
    """
    folder = session.folder
    incoming = child_path(folder.path / INCOMING, job.id, error=ServiceBadReply)
    make_folder(incoming)
    _remove_other_jobs(incoming)
    files = client.fetch(job, incoming, progress=session.progress)
    missing = [role for role in _NEEDED if role not in files]
    if missing or job.result is None:
        raise ServiceBadReply(f"the job {job.id} is done, but left no {', '.join(missing)}")
    records = _records(files["stages"])
    promoted = _checked_evaluation(files["evaluation"], job)
    candidate = _install(session, files, "candidate", incoming, trusted if promoted else ())
    check_camera(candidate, camera)
    if job.result.candidate is not None:
        note_registry_id(candidate.folder, job.result.candidate)
    start = _start(session, files, incoming, trusted)
    weights = folder.candidate_weights(records["training"].fingerprint)
    make_folder(weights.parent)
    atomic_write_bytes(weights, candidate.read_weights())
    _keep_for_replay(session, files, records["training"].fingerprint)
    atomic_write_bytes(folder.evaluation, read_file(files["evaluation"]))
    atomic_write_bytes(folder.report, read_file(files["report"]))
    old = incumbent or start
    winner = candidate if promoted else old
    deployed = deploy_winner(session, records["training"].fingerprint, winner, incumbent=incumbent)
    exported = ExportResult(*(bundle.folder.name for bundle in (deployed, candidate, old, start)))
    records[EXPORT.name] = replace(records[EXPORT.name], summary=exported.to_json())
    decided = asdict(Incumbent(incumbent.folder.name if incumbent else None))
    evaluated = records[EVALUATION.name]
    records[EVALUATION.name] = replace(evaluated, summary=evaluated.summary | {"incumbent": decided})
    for name in _STAGES:
        folder.finish(name, records[name])
    remove_folder(folder.path / INCOMING, below=folder.path)


def _remove_other_jobs(incoming: Path) -> None:
    """Delete what was begun of earlier jobs of the run."""
    for other in incoming.parent.iterdir():
        if other != incoming:
            remove_folder(other, below=incoming.parent)


def _records(path: Path) -> dict[str, StageRecord]:
    """Return the records of the stages that were done at the service.

    Raises:
        ServiceBadReply: one is missing, or is none.
    """
    try:
        state = Fields(parse_json(read_file(path)), "")
        records = {name: read_stage_record(state.inner(name)) for name in _STAGES}
        for record in records.values():
            if not _FINGERPRINT.fullmatch(record.fingerprint):
                raise ValueError(f"{record.fingerprint!r:.100} is not a fingerprint")
    except ValueError as exc:
        raise ServiceBadReply(f"the records of a job's stages cannot be used: {exc!r:.200}") from exc
    return records


def _checked_evaluation(path: Path, job: JobInfo) -> bool:
    """Whether the candidate was promoted.

    Raises:
        ServiceBadReply: the file is none, or contradicts what the job says.
    """
    try:
        promoted = read_evaluation(path).promotion.promoted
    except DatasetError as exc:
        raise ServiceBadReply(f"the evaluation of the job {job.id} cannot be read: {exc}") from exc
    if job.result is None or promoted != job.result.promoted:
        raise ServiceBadReply(f"the evaluation of the job {job.id} contradicts the job's result on promotion")
    return promoted


def _start(session: Session, files: Mapping[str, Path], incoming: Path, trusted: tuple[PublicKey, ...]) -> ModelBundle:
    """Install the model that the training started from.

    Where signatures are asked for and it was a bundle, the one that was here before stands for it.
    """
    own = find_weights(session.config).bundle
    if trusted and own is not None:
        return install_bundle(own.folder, session.folder.path, own.folder.name)
    return _install(session, files, "start", incoming, trusted)


def _install(
    session: Session, files: Mapping[str, Path], kind: str, incoming: Path, trusted: tuple[PublicKey, ...]
) -> ModelBundle:
    """Put a bundle together, check it, and copy it to the run's bundles, with its signature."""
    content = read_file(files[f"{kind}.description"])
    described = parse_description(content)
    if not is_plain_name(described.name):
        raise ModelBundleError(f"{described.name[:100]!r} is not the name of a bundle")
    together = incoming / f"{kind}-bundle"
    remove_folder(together, below=incoming)  # what a killed call has begun
    make_folder(together)
    atomic_write_bytes(child_path(together, described.model.name), read_file(files[f"{kind}.model"]))
    atomic_write_bytes(child_path(together, described.weights.name), read_file(files[f"{kind}.weights"]))
    atomic_write_bytes(together / DESCRIPTION_FILE, content)
    signature = files.get(f"{kind}.signature")
    if signature is not None:
        atomic_write_bytes(together / SIGNATURE_FILE, read_file(signature))
    elif trusted:
        raise ModelBundleError(
            f"the {kind} is not signed, and only signed bundles are trusted here; a service signs only models trained "
            "from a trusted start, i.e. a model of its catalogue or a registered bundle signed by one of its "
            "`trusted_keys`"
        )
    return install_bundle(together, session.folder.path, described.name, trusted=trusted)


def _keep_for_replay(session: Session, files: Mapping[str, Path], fingerprint: str) -> None:
    """Offer what was trained on to the camera's reservoir here; again, and nothing happens."""
    replay = session.config.training.replay
    if replay.folder is None or "replay" not in files:
        return
    with DatasetStore.open(session.folder.dataset) as store:
        ReplayReservoir(replay.folder).offer(
            read_replay_offers(read_file(files["replay"]), store),
            offer_id=fingerprint,
            max_pictures=replay.max_pictures,
            max_mb=replay.max_mb,
        )
