"""Stage 5: both models become bundles, and the link `bundle` points at the one that the decision names."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_autotuner.core import OperatingPoint
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.deployment import (
    ModelBundle,
    deployed_bundle,
    new_bundle_folder,
    read_bundle,
    write_bundle,
)
from edge_autotuner.deployment.acceptance import CAMERA
from edge_autotuner.deployment.deployed import BUNDLES_FOLDER
from edge_autotuner.errors import DatasetError, ModelBundleError
from edge_autotuner.models.detector_spec import DetectorSpec
from edge_autotuner.pipeline.edge_model import EdgeModel
from edge_autotuner.pipeline.evaluation_result import DETECTORS, START, Evaluation, read_evaluation
from edge_autotuner.pipeline.incumbent import REPLACED, deploy_winner, recorded_incumbent
from edge_autotuner.pipeline.loop import EVALUATION, EXPORT, TRAINING
from edge_autotuner.pipeline.session import Prepared, Session
from edge_autotuner.pipeline.stage_results import ExportResult
from edge_autotuner.pipeline.training_stage import open_models, require_training
from edge_autotuner.storage import child_path

logger = logging.getLogger(__name__)


@contextmanager
def prepare(session: Session) -> Iterator[Prepared[ExportResult]]:
    """Open both models, to write their bundles and deploy the winner.

    Raises:
        DatasetError: the training was done with other settings than the session's.
        ModelBundleError: a bundle cannot be written or deployed; the deployed one stays.
    """
    folder = session.folder
    evaluated = folder.require(EVALUATION.name, before=EXPORT.name)
    result = read_evaluation(folder.evaluation)
    models = open_models(session)
    start, candidate = models[START], models[result.candidate]
    session.edge_model(of_dataset=candidate.labels)
    trained = require_training(session, before=EXPORT.name)

    def work() -> ExportResult:
        incumbent = recorded_incumbent(session, trained.fingerprint, candidate.labels)
        old_start = _write(session, start, START, result, incumbent)
        old = incumbent or old_start
        new = _write(session, candidate, result.candidate, result, incumbent)
        winner = new if result.promotion.promoted else old
        deployed = deploy_winner(session, trained.fingerprint, winner, incumbent=incumbent)
        return ExportResult(*(bundle.folder.name for bundle in (deployed, new, old, old_start)))

    fingerprint = fingerprint_of("export", evaluated.fingerprint)
    is_kept = session.is_done(EXPORT, fingerprint) and _is_deployed(folder.path)
    yield Prepared(work, fingerprint, is_kept=is_kept)


def _write(
    session: Session, edge: EdgeModel, kind: str, result: Evaluation, incumbent: ModelBundle | None
) -> ModelBundle:
    """Write the bundle of a contender; an equal one that an interrupted export left is used again.

    Equal is only what is equal in everything: in a job, a client chooses the names of bundles that are there before.
    """
    trained = session.folder.require(TRAINING.name, before=EXPORT.name)
    evaluated = session.folder.require(EVALUATION.name, before=EXPORT.name)
    is_candidate = kind != START
    name = f"{'specialized' if is_candidate else 'start'}-{evaluated.fingerprint[:8]}"
    size = session.config.input_size
    model = edge.export(size, session.folder.training(trained.fingerprint) / f"{kind}.onnx").read_bytes()
    weights = edge.weights
    layers = session.folder.result(TRAINING, before=EXPORT.name).layers if is_candidate else None
    point = result.contenders[kind].point
    facts: dict[str, Any] = {
        "operating_point": point,
        "name": name,
        "architecture": edge.network.architecture,
        "detector": edge.network.detector_spec(name, edge.labels, size),
        "metrics": _metrics(result, kind),
        "promotion": result.promotion.to_json()
        if is_candidate
        else {"replaced_by_candidate": result.promotion.promoted},
        "lineage": {
            "edge_model": edge.name,
            "edge_model_sha256": edge.sha256,
            "training": trained.fingerprint,
            "trained_layers": layers,
            REPLACED: incumbent.folder.name if incumbent and is_candidate else None,
            **({CAMERA: session.camera} if session.camera else {}),
        },
    }
    there = child_path(session.folder.path / BUNDLES_FOLDER, name, error=DatasetError)
    if there.is_dir():
        bundle = _intact(there)
        if bundle and bundle.read_model() == model and bundle.read_weights() == weights and _says(bundle, facts):
            return bundle
    path = new_bundle_folder(session.folder.path, name)
    return write_bundle(path, model=model, weights=weights, clock=session.clock, **facts)


def _says(bundle: ModelBundle, facts: dict[str, Any]) -> bool:
    """Whether a bundle's description says this, apart from when it was made."""
    return all(_as_json(getattr(bundle, key)) == _as_json(value) for key, value in facts.items())


def _as_json(value: Any) -> str:  # noqa: ANN401 (JSON values, or what is written as such)
    is_ours = isinstance(value, DetectorSpec | OperatingPoint)
    return json.dumps(value.to_json() if is_ours else value, sort_keys=True)


def _is_deployed(folder: Path) -> bool:
    """Whether a bundle is deployed and nobody has damaged it."""
    try:
        deployed = deployed_bundle(folder)
    except ModelBundleError as exc:
        logger.warning("%s; creating the bundles again", exc)
        return False
    return deployed is not None and _intact(deployed) is not None


def _intact(folder: Path) -> ModelBundle | None:
    try:
        return read_bundle(folder)
    except ModelBundleError as exc:
        logger.warning("%s; creating the bundle again", exc)
        return None


def _metrics(result: Evaluation, contender: str) -> dict[str, object]:
    detector = DETECTORS.get(contender, contender)
    scores = {truth: result.comparison.get(truth, detector) for truth in result.comparison.scores}
    return {
        "against": {truth: found.to_json() for truth, found in scores.items() if found is not None},
        "ms_per_frame": result.contenders[contender].ms,
        "n_test_frames": result.n_frames,
    }
