"""The model that a candidate has to beat: the deployed one, which an earlier training in the folder may have made.

The evaluation decides it and records it; export and report go by the record.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_autotuner.core import LabelMap
from edge_autotuner.deployment import ModelBundle, deployed_bundle, read_bundle
from edge_autotuner.deployment.bundle import parse_description, read_description, verify_files
from edge_autotuner.deployment.deployed import BUNDLES_FOLDER, DEPLOYED_LINK
from edge_autotuner.errors import ModelBundleError
from edge_autotuner.pipeline.loop import EVALUATION, EXPORT
from edge_autotuner.pipeline.session import Session
from edge_autotuner.storage import child_path

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
