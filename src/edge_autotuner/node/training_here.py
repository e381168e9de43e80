"""What the learning of a node needs torch for: its first model, and the training on a batch."""

from __future__ import annotations

from collections.abc import Callable

from edge_autotuner.config import RunConfig
from edge_autotuner.core import Clock
from edge_autotuner.deployment import ModelBundle, new_bundle_folder
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.pipeline.annotation_stage import annotate
from edge_autotuner.pipeline.edge_model import open_edge_model, write_unchanged
from edge_autotuner.pipeline.evaluation_stage import evaluate
from edge_autotuner.pipeline.export_stage import export
from edge_autotuner.pipeline.report_stage import report
from edge_autotuner.pipeline.session import Session
from edge_autotuner.pipeline.training_stage import train

_STAGES: tuple[Callable[[Session], None], ...] = (annotate, train, evaluate, export)


def train_here(session: Session) -> None:
    """Do every stage behind the capture, and write the report. Raises as they do."""
    for stage in _STAGES:
        stage(session)
    report(session)


def export_start_model(folder: CameraFolder, config: RunConfig, *, name: str, clock: Clock) -> ModelBundle:
    """Write the edge model that the settings name as a bundle of a camera.

    Raises:
        ConfigError, WeightsError: the edge model cannot be used.
        ModelBundleError: it cannot be exported.
    """
    target = new_bundle_folder(folder.path, name)
    return write_unchanged(open_edge_model(config), config.input_size, target, name=name, clock=clock)
