"""The model that a candidate has to beat: the deployed one, which an earlier training in the folder may have made."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.core import LabelMap
from edge_autotuner.deployment import ModelBundle, deployed_bundle, read_bundle
from edge_autotuner.deployment.bundle import parse_description, read_description, verify_files
from edge_autotuner.deployment.deployed import DEPLOYED_LINK
from edge_autotuner.errors import ModelBundleError
from edge_autotuner.pipeline.session import Session

REPLACED = "replaced"
"""Key of a bundle's lineage: the bundle that was deployed before it, null for the start model."""


def find_incumbent(session: Session, training: str, labels: LabelMap) -> ModelBundle | None:
    """Return the deployed bundle that the candidate of a training competes with; None for the start model.

    Once the candidate is deployed itself, its rival is the bundle that it replaced, so that evaluating again
    gives the same answer. A deployed bundle with other classes cannot be compared and is no rival.

    Raises:
        ModelBundleError: the deployed bundle is damaged.
    """
    try:
        return _find(session, training, labels)
    except ModelBundleError as exc:
        link = session.folder.path / DEPLOYED_LINK
        raise ModelBundleError(f"{exc}; or remove the link {link}, then evaluate and export again") from exc


def _find(session: Session, training: str, labels: LabelMap) -> ModelBundle | None:
    """Return the rival; only its files are checked: the start model's can be made again."""
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
