"""Learning from batches: a batch becomes labels, a candidate, and, if it is better, the deployed model.

Every step can be interrupted and repeated. Optional libraries are loaded where they are used: torch where the training
is done here, HTTP where a service trains.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edge_autotuner.config import RunConfig
from edge_autotuner.config.node import RegistryConfig
from edge_autotuner.core import Clock, Progress, SystemClock
from edge_autotuner.deployment import deploy, deployed_bundle, install_bundle, new_bundle_folder, read_bundle
from edge_autotuner.deployment.bundle import DESCRIPTION_FILE
from edge_autotuner.deployment.deployed import note_registry_id, registry_id
from edge_autotuner.deployment.signing import trusted_keys
from edge_autotuner.errors import ConfigError, DeadlineTooShort, NoLabelsFound, TrainingDiverged
from edge_autotuner.node.camera_folder import BatchFolder, BatchOutcome, CameraFolder, Outcome
from edge_autotuner.node.learning_rules import (
    LearningTrigger,
    PromotionRule,
    evaluated_promotion,
    oldest_closed_batch,
)
from edge_autotuner.pipeline.loop import ANNOTATION
from edge_autotuner.pipeline.privacy import export_hiding_model
from edge_autotuner.pipeline.session import Session, run_stage, run_stages
from edge_autotuner.storage.lock import FolderLock

if TYPE_CHECKING:
    from edge_autotuner.pipeline.remote_training.training import TrainingService

logger = logging.getLogger(__name__)

_START = "start"


def work_on(
    folder: CameraFolder,
    config: RunConfig,
    *,
    deploys: bool = True,
    only_first: bool = False,
    trigger: LearningTrigger = oldest_closed_batch,
    service: TrainingService | None = None,
    clock: Clock,
    progress: Progress,
) -> None:
    """Do what there is to do for a camera: its first model, then every batch that `trigger` names.

    If `deploys`, deploy a better candidate here; otherwise it waits for promotion at the registry. With `only_first`,
    leave batches to a later call. Without a `service`, train here.

    Raises:
        DatasetError: another process works on this camera.
        EdgeAutotunerError: a step failed for now; everything is kept, and a later call continues.
    """
    folder.lock.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(folder.lock)
    try:
        if service is None:
            deploy_start_model(folder, config, clock=clock)
        else:
            deploy_start_bundle(folder, config)
        if only_first:
            return
        export_hiding_model(config, folder.path)
        while (batch := trigger(folder)) is not None:
            learn_from(batch, folder, config, deploys=deploys, service=service, clock=clock, progress=progress)
    finally:
        lock.release()


def deploy_start_model(folder: CameraFolder, config: RunConfig, *, clock: Clock | None = None) -> None:
    """Export the edge model that the settings name, and deploy it, unless the camera has a model already.

    Raises:
        ConfigError, WeightsError: the edge model cannot be used.
        ModelBundleError: it cannot be exported.
        MissingDependency: torch is not installed.
    """
    if deployed_bundle(folder.path) is not None:
        return
    from edge_autotuner.pipeline.edge_model import open_edge_model  # torch

    target = new_bundle_folder(folder.path, _START)
    open_edge_model(config).write_bundle(config.input_size, target, name=_START, clock=clock or SystemClock())
    deploy(folder.path, target.name)


def deploy_start_bundle(folder: CameraFolder, config: RunConfig) -> None:
    """Deploy the bundle that the settings name as the edge model, unless the camera has a model already.

    Raises:
        ConfigError: they name no bundle, and the registry has deployed none yet.
        ModelBundleError: it is damaged.
    """
    if deployed_bundle(folder.path) is not None:
        return
    named = Path(config.edge_model)
    if not (named / DESCRIPTION_FILE).is_file():
        raise ConfigError(
            "this camera has no model yet, and none can be exported here because a service trains; set edge_model to "
            f"the folder of a bundle (it is {config.edge_model}), or promote a bundle for the camera at the registry"
        )
    installed = install_bundle(named, folder.path, _START)  # a service trusts a start by its signature
    _keep_registry_id(named, installed.folder)
    deploy(folder.path, installed.folder.name)


def learn_from(
    batch: BatchFolder,
    folder: CameraFolder,
    config: RunConfig,
    *,
    deploys: bool,
    rule: PromotionRule = evaluated_promotion,
    service: TrainingService | None = None,
    clock: Clock,
    progress: Progress,
) -> BatchOutcome:
    """Label a batch, train on it, and deploy the candidate if `rule` prefers it to the model it started from.

    The batch starts from the deployed model, whatever edge model the settings name; `deploys` and `service` are as in
    `work_on`.

    Raises:
        EdgeAutotunerError: a step failed for now, for example because the service cannot be reached.
    """
    if not batch.run.dataset.is_dir():
        return _finish(batch, clock, "useless", "its pictures were deleted, so there is nothing to learn from")
    start = _start_of(batch, folder)
    settings = _settings(config, start, folder)
    session = Session(
        batch.run, settings, clock=clock, progress=progress, camera=folder.path.name, trains_here=service is None
    )
    try:
        if service is None:
            run_stages(session, first=ANNOTATION.name)
        else:
            from edge_autotuner.pipeline.remote_training.training import tune_at_service  # the HTTP library

            run_stage(session, ANNOTATION)
            tune_at_service(session, service)
    except (NoLabelsFound, DeadlineTooShort, TrainingDiverged) as exc:
        return _finish(batch, clock, "useless", str(exc))
    return _finish(batch, clock, *_settle(batch, folder, start, deploys=deploys, rule=rule))


def _settle(
    batch: BatchFolder, folder: CameraFolder, start: Path, *, deploys: bool, rule: PromotionRule
) -> tuple[Outcome, str, str | None]:
    """Install the winner, and deploy it if that is decided here; return outcome, reason and name of the bundle."""
    decision = rule(batch)
    winner = deployed_bundle(batch.run.path)
    assert winner is not None, "the export deploys one"
    if not decision.promoted:
        return "kept", decision.reason, None
    bundle = install_bundle(winner, folder.path, f"batch-{batch.name}")
    _keep_registry_id(winner, bundle.folder)
    name = bundle.folder.name
    if not deploys:
        return "candidate", decision.reason, name
    current = deployed_bundle(folder.path)
    if current is not None and current.name not in (start.name, name):
        return "kept", f"the candidate beat {start.name}, but {current.name} was deployed meanwhile", name
    deploy(folder.path, name)
    return "deployed", decision.reason, name


def _keep_registry_id(source: Path, installed: Path) -> None:
    known_as = registry_id(source)
    if known_as is not None:
        note_registry_id(installed, known_as)


def _start_of(batch: BatchFolder, folder: CameraFolder) -> Path:
    """Return the bundle that a batch starts from; the same one after a kill."""
    if batch.run.has_settings:
        begun = Path(batch.run.settings().edge_model)
        if begun.is_dir():
            return begun
    deployed = deployed_bundle(folder.path)
    assert deployed is not None, "the start model is deployed until something is learned"
    return deployed


def _settings(config: RunConfig, start: Path, folder: CameraFolder) -> RunConfig:
    replay = config.training.replay
    if replay.folder is None:
        replay = replay.model_copy(update={"folder": folder.reservoir})
    training = config.training.model_copy(update={"replay": replay})
    privacy = config.privacy.model_copy(update={"hide_with": config.privacy.hide_with or config.edge_model})
    learned = {"edge_model": str(start), "training": training, "privacy": privacy}
    learned["input_size"] = read_bundle(start).detector.input_size_wh  # a bundle that was named runs as it is
    return config.model_copy(update=learned)


def _finish(batch: BatchFolder, clock: Clock, outcome: Outcome, reason: str, bundle: str | None = None) -> BatchOutcome:
    finished = BatchOutcome(outcome, reason, bundle, clock.now().isoformat())
    batch.finish(finished)
    logger.info("batch %s: %s: %s", batch.name, outcome, reason)
    return finished


@contextmanager
def connected_service(config: RegistryConfig | None, camera: CameraFolder) -> Iterator[TrainingService | None]:
    """Connect to the service that trains while the block runs; None where the training is done here.

    Raises:
        ConfigError: a key or certificate cannot be used.
        MissingDependency: what signatures or connections need is not installed.
    """
    if config is None:
        yield None
        return
    from edge_autotuner.client import Connection, JobsClient, RegistryClient  # the HTTP library, which not all need
    from edge_autotuner.pipeline.remote_training.training import TrainingService

    trusted = trusted_keys(config.trusted_keys)
    with Connection(config.service, setting_of="registry.service.{}".format) as connection:
        yield TrainingService(
            JobsClient(connection),
            RegistryClient(connection),
            camera.path.name,
            trusted=trusted,
            parent_of=registry_id,
        )
