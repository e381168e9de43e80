"""What runs beside the detection: a batch becomes labels, a candidate, and, if it is better, the deployed model.

Every step continues where a killed one stopped, and doing a finished one again changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from edge_autotuner.config import RunConfig
from edge_autotuner.core import Clock, Progress, SystemClock
from edge_autotuner.dataset.lock import FolderLock
from edge_autotuner.deployment import deploy, deployed_bundle, install_bundle, new_bundle_folder, write_bundle
from edge_autotuner.errors import DeadlineTooShort, NoLabelsFound, TrainingDiverged
from edge_autotuner.models.torch_weights import network_bytes
from edge_autotuner.pipeline.annotation_stage import annotate
from edge_autotuner.pipeline.edge_model import export_network, open_edge_model
from edge_autotuner.pipeline.evaluation_stage import evaluate, read_evaluation
from edge_autotuner.pipeline.export_stage import export
from edge_autotuner.pipeline.node.camera_folder import Batch, BatchOutcome, CameraFolder
from edge_autotuner.pipeline.report_stage import report
from edge_autotuner.pipeline.session import Session
from edge_autotuner.pipeline.training_stage import train

logger = logging.getLogger(__name__)

_STAGES: tuple[Callable[[Session], None], ...] = (annotate, train, evaluate, export)


def work_on(folder: CameraFolder, config: RunConfig, *, deploys: bool = True, clock: Clock, progress: Progress) -> None:
    """Do what there is to do for a camera: its first model, then every batch that is waiting.

    Args:
        folder: of the camera.
        config: how it learns.
        deploys: whether a candidate that is better is deployed here; else somebody else decides.
        clock: of the records.
        progress: told of long jobs.

    Raises:
        DatasetError: another process works on this camera.
        EdgeAutotunerError: a step failed for now; everything is kept, and a later call continues.
    """
    folder.lock.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(folder.lock)
    try:
        deploy_start_model(folder, config, clock=clock)
        while (batch := folder.waiting()) is not None:
            learn_from(batch, folder, config, deploys=deploys, clock=clock, progress=progress)
    finally:
        lock.release()


def deploy_start_model(folder: CameraFolder, config: RunConfig, *, clock: Clock | None = None) -> None:
    """Export the edge model that the settings name, and deploy it, unless the camera has a model already.

    Raises:
        ConfigError, WeightsError: the edge model cannot be used.
        ModelBundleError: it cannot be exported.
    """
    if deployed_bundle(folder.path) is not None:
        return
    edge = open_edge_model(config)
    unfinished = folder.path / "start.onnx"
    model = export_network(edge.network, config.input_size, unfinished).read_bytes()
    name = "start"
    bundle = write_bundle(
        new_bundle_folder(folder.path, name),
        name=name,
        architecture=edge.network.architecture,
        detector=edge.network.detector_spec(name, edge.labels, config.input_size),
        model=model,
        weights=network_bytes(edge.network, edge.labels),
        metrics={},
        promotion={},
        lineage={"edge_model": edge.name, "edge_model_sha256": edge.sha256, "trained_layers": None},
        clock=clock or SystemClock(),
    )
    deploy(folder.path, bundle.folder.name)
    unfinished.unlink(missing_ok=True)


def learn_from(
    batch: Batch, folder: CameraFolder, config: RunConfig, *, deploys: bool, clock: Clock, progress: Progress
) -> BatchOutcome:
    """Label a batch, train on it, and deploy the candidate if it beats the model that the batch started from.

    Args:
        batch: collected.
        folder: of the camera.
        config: how the camera learns; the edge model is the deployed one, whatever it says.
        deploys: whether a candidate that is better is deployed here.
        clock: of the records.
        progress: told of long jobs.

    Raises:
        EdgeAutotunerError: a step failed for now, for example because the service cannot be reached.
    """
    start = _start_of(batch, folder)
    settings = _settings(config, start, folder)
    session = Session(batch.run, settings, clock=clock, progress=progress)
    try:
        for stage in _STAGES:
            stage(session)
        report(session)
    except (NoLabelsFound, DeadlineTooShort, TrainingDiverged) as exc:
        return _finish(batch, BatchOutcome("useless", str(exc), None, clock.now().isoformat()))
    return _finish(batch, _settle(batch, folder, start, clock, deploys=deploys))


def _settle(batch: Batch, folder: CameraFolder, start: Path, clock: Clock, *, deploys: bool) -> BatchOutcome:
    """Bring the winner to the camera."""
    decision = read_evaluation(batch.run.evaluation).promotion
    winner = deployed_bundle(batch.run.path)
    assert winner is not None, "the export deploys one"
    if not decision.promoted:
        return BatchOutcome("kept", decision.reason, None, clock.now().isoformat())
    bundle = install_bundle(winner, folder.path, f"batch-{batch.name}")
    if not deploys:
        return BatchOutcome("candidate", decision.reason, bundle.folder.name, clock.now().isoformat())
    now_deployed = deployed_bundle(folder.path)
    is_current = now_deployed is None or now_deployed.name in (start.name, bundle.folder.name)
    if not is_current:
        reason = f"the candidate beat {start.name}, but {now_deployed and now_deployed.name} was deployed meanwhile"
        return BatchOutcome("kept", reason, bundle.folder.name, clock.now().isoformat())
    deploy(folder.path, bundle.folder.name)
    return BatchOutcome("deployed", decision.reason, bundle.folder.name, clock.now().isoformat())


def _start_of(batch: Batch, folder: CameraFolder) -> Path:
    """Return the bundle that a batch's training starts from: the one of its beginning, also after a kill."""
    if (batch.run.path / "settings.yaml").is_file():
        begun = Path(batch.run.settings().edge_model)
        if begun.is_dir():
            return begun
    deployed = deployed_bundle(folder.path)
    assert deployed is not None, "the start model is deployed before anything is learned"
    return deployed


def _settings(config: RunConfig, start: Path, folder: CameraFolder) -> RunConfig:
    replay = config.training.replay
    if replay.folder is None:
        replay = replay.model_copy(update={"folder": folder.reservoir})
    training = config.training.model_copy(update={"replay": replay})
    return config.model_copy(update={"edge_model": str(start), "training": training})


def _finish(batch: Batch, outcome: BatchOutcome) -> BatchOutcome:
    batch.finish(outcome)
    logger.info("batch %s: %s: %s", batch.name, outcome.outcome, outcome.reason)
    return outcome
