"""The model that a candidate has to beat: the deployed one, which an earlier training in the folder may have made.

The evaluation decides it and records it; export and report go by the record.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_autotuner.core import LabelMap
from edge_autotuner.deployment import ModelBundle, deploy, deployed_bundle, read_bundle
from edge_autotuner.deployment.bundle import parse_description, read_description, verify_files
from edge_autotuner.deployment.deployed import BUNDLES_FOLDER, DEPLOYED_LINK
from edge_autotuner.errors import ModelBundleError
from edge_autotuner.pipeline.loop import EVALUATION, EXPORT
from edge_autotuner.pipeline.session import Session
from edge_autotuner.storage import child_path

logger = logging.getLogger(__name__)

REPLACED = "replaced"
"""Key of a bundle's lineage: the bundle that was deployed before it, null for the start model."""


def find_incumbent(session: Session, training: str, labels: LabelMap) -> ModelBundle | None:
    """Decide which bundle the candidate of a training competes with; None for the start model.

    Once the candidate itself is deployed, it is the bundle that it replaced, so that evaluating again gives the same
    answer. A deployed bundle with other classes cannot be compared, and is not an incumbent.

    Raises:
        ModelBundleError: the deployed bundle is damaged.
    """
    with _with_advice(session):
        return _find(session, training, labels)


def recorded_incumbent(session: Session, training: str, labels: LabelMap) -> ModelBundle | None:
    """Return the bundle that the finished evaluation has compared the candidate with; None for the start model.

    Raises:
        ModelBundleError: it is damaged or gone.
    """
    decided = session.folder.result(EVALUATION, before=EXPORT.name).incumbent
    if decided is None:  # an earlier version evaluated
        return find_incumbent(session, training, labels)
    if decided.bundle is None:
        return None
    with _with_advice(session):
        return read_bundle(child_path(session.folder.path / BUNDLES_FOLDER, decided.bundle, error=ModelBundleError))


def deploy_winner(
    session: Session, training: str, winner: ModelBundle, *, incumbent: ModelBundle | None
) -> ModelBundle:
    """Deploy the winner of an evaluation, and return what is deployed then.

    A bundle that was deployed after the evaluation stays: the candidate has not been compared with it.

    Args:
        session: of the run.
        training: fingerprint of the candidate's training.
        winner: the candidate, or the bundle that it did not beat.
        incumbent: what the evaluation compared the candidate with; None: the start model.

    Raises:
        ModelBundleError: the deployed bundle is damaged, or the winner cannot be deployed; the deployed one stays.
    """
    folder = session.folder.path
    with _with_advice(session):
        deployed = deployed_bundle(folder)
        current = _find(session, training, winner.detector.labels)
        if deployed is None or _name_of(current) == _name_of(incumbent):
            deploy(folder, winner.folder.name)
            return winner
        kept = read_bundle(deployed)
    logger.warning(
        "%s was deployed after the evaluation, which compared the candidate with %s: it stays deployed; evaluate again",
        kept.folder.name,
        _name_of(incumbent) or "the start model",
    )
    return kept


def _name_of(bundle: ModelBundle | None) -> str | None:
    return bundle.folder.name if bundle else None


@contextmanager
def _with_advice(session: Session) -> Iterator[None]:
    try:
        yield
    except ModelBundleError as exc:
        link = session.folder.path / DEPLOYED_LINK
        raise ModelBundleError(f"{exc}; or remove the link {link}, then evaluate and export again") from exc


def _find(session: Session, training: str, labels: LabelMap) -> ModelBundle | None:
    """Check the files of an incumbent only: the start model's can be made again."""
    folder = deployed_bundle(session.folder.path)
    if folder is None:
        return None
    deployed = parse_description(read_description(folder), folder)
    if deployed.lineage.get("training") == training:
        return _replaced_by(deployed)
    is_start_model = deployed.lineage.get("trained_layers") is None
    if is_start_model or deployed.detector.labels != labels:
        return None
    verify_files(deployed)
    return deployed


def _replaced_by(bundle: ModelBundle) -> ModelBundle | None:
    name = bundle.lineage.get(REPLACED)
    folder = bundle.folder.parent / Path(str(name)).name
    return read_bundle(folder) if name is not None and folder.is_dir() else None
