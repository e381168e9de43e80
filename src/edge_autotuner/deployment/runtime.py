"""Runs a bundle on an edge device with numpy, OpenCV and ONNX Runtime, without torch."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.config import FeedingConfig
from edge_autotuner.config.feeding import FeedingMode
from edge_autotuner.core import Detector
from edge_autotuner.core.arguments import check_share, checked_arguments
from edge_autotuner.core.plugins import RUNTIMES
from edge_autotuner.deployment.bundle import ModelBundle, read_bundle
from edge_autotuner.deployment.deployed import bundle_folder
from edge_autotuner.errors import ModelBundleError, WeightsError


@checked_arguments
def load_edge_detector(
    folder: Path,
    n_threads: int | None = None,
    *,
    min_score: float = 0.05,
    max_detections: int = 300,
    runtime: str = "onnxruntime",
) -> Detector:
    """Verify a bundle and return its detector.

    Args:
        folder: a bundle, or an output folder, whose deployed bundle is meant.
        n_threads: CPU threads; None for all cores.
        min_score: boxes below this are dropped.
        max_detections: most boxes per picture.
        runtime: what executes the model, a name of `RUNTIMES`.

    Raises:
        ConfigError: there is no such runtime.
        ModelBundleError: there is no bundle, it is damaged, or its model does not run.
        ValueError: a number is out of its range.
    """
    check_share(min_score, "min_score")
    if max_detections < 1 or (n_threads is not None and n_threads < 1):
        raise ValueError(f"max_detections and n_threads must be at least 1, got {max_detections} and {n_threads}")
    bundle = read_bundle(bundle_folder(folder))
    try:
        return open_bundle(
            bundle, n_threads=n_threads, min_score=min_score, max_detections=max_detections, runtime=runtime
        )
    except WeightsError as exc:
        raise ModelBundleError(f"{bundle.model_path}: {exc}") from exc


def open_bundle(
    bundle: ModelBundle, *, n_threads: int | None, min_score: float, max_detections: int, runtime: str
) -> Detector:
    """Return the detector of a bundle that has been read; arguments as of `load_edge_detector`.

    Raises:
        ConfigError: there is no such runtime.
        ModelBundleError: the model was changed.
        WeightsError: it does not run.
    """
    detector: Detector = RUNTIMES.make(
        runtime,
        bundle.read_model(),
        bundle.detector,
        n_threads=n_threads,
        min_score=min_score,
        max_detections=max_detections,
    )
    return detector


def feeding_of(bundle: ModelBundle, mode: FeedingMode | None) -> FeedingConfig:
    """Return how to feed the model of a bundle: as it says, or whole frames; a given mode wins."""
    feeding = bundle.feeding or FeedingConfig()
    return feeding if mode is None else feeding.model_copy(update={"mode": mode})
