"""The model that a candidate has to beat: the deployed one, which an earlier training in the folder may have made."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.core import LabelMap
from edge_autotuner.deployment import ModelBundle, deployed_bundle, read_bundle
from edge_autotuner.pipeline.session import Session

REPLACED = "replaced"
"""Key of a bundle's lineage: the bundle that was deployed before it, null for the start model."""


def find_rival(session: Session, training: str, labels: LabelMap) -> ModelBundle | None:
    """Return the deployed bundle that the candidate of a training competes with; None for the start model.

    Once the candidate is deployed itself, its rival is the bundle that it replaced, so that evaluating again
    gives the same answer. A deployed bundle with other classes cannot be compared and is no rival.

    Raises:
        ModelBundleError: the deployed bundle is damaged.
    """
    folder = deployed_bundle(session.folder.path)
    if folder is None:
        return None
    deployed = read_bundle(folder)
    if deployed.lineage.get("training") == training:
        return _replaced_by(deployed)
    is_start_model = deployed.lineage.get("trained_layers") is None
    return None if is_start_model or deployed.detector.labels != labels else deployed


def _replaced_by(bundle: ModelBundle) -> ModelBundle | None:
    name = bundle.lineage.get(REPLACED)
    folder = bundle.folder.parent / Path(str(name)).name
    return read_bundle(folder) if name is not None and folder.is_dir() else None
