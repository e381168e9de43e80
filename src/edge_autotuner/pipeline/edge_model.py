"""Finds the edge model that a run starts from, and turns networks into ONNX files that the edge runtime runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edge_autotuner.config import RunConfig
from edge_autotuner.core import COCO_80, STREET_6, LabelMap
from edge_autotuner.core.types import SizeWH
from edge_autotuner.dataset.atomic import make_folder
from edge_autotuner.deployment import bundle_folder, check_export, export_onnx, read_bundle
from edge_autotuner.errors import ConfigError
from edge_autotuner.models.catalogue import find_model, list_models
from edge_autotuner.models.detector_spec import DetectorSpec
from edge_autotuner.models.onnx_detector import OnnxDetector
from edge_autotuner.models.torch_weights import WEIGHTS_SUFFIXES, with_classes
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.models.trainable_weights import load_network
from edge_autotuner.models.transformers_folder import is_detector_folder, read_detector_folder
from edge_autotuner.models.weights_store import locate

ZOOM = "zoom"
"""The teacher that is the edge model itself, looking at magnified views."""


@dataclass(frozen=True)
class EdgeModel:
    """The model that a run improves.

    Attributes:
        name: how reports call it.
        network: its weights, cut down to `labels`.
        labels: the classes of the run.
        sha256: of the weights file.
    """

    name: str
    network: TrainableNetwork
    labels: LabelMap
    sha256: str


def open_edge_model(config: RunConfig, *, of_dataset: LabelMap | None = None) -> EdgeModel:
    """Load the edge model that the settings name.

    Args:
        config: names the model and the classes.
        of_dataset: classes of the dataset that it works on; None where there is no dataset yet.

    Raises:
        ConfigError: no such model, it cannot have an input of the wanted size, a wanted class is not one of its
            classes, or the dataset has other classes.
        WeightsError: its weights are missing or damaged.
    """
    name, path, architecture = _find_weights(config)
    network, all_labels = load_network(path, architecture=architecture)
    network.check_input_size(config.input_size, "input_size")
    if ZOOM in config.annotation.teachers or config.training.second_look.enabled:
        network.check_input_size(config.annotation.zoom_input, "annotation.zoom_input")
    labels = _choose_labels(all_labels, config.annotation.classes)
    if of_dataset is not None and labels != of_dataset:
        raise ConfigError(
            f"the edge model {name} is to learn {', '.join(labels)}, the dataset was captured for "
            f"{', '.join(of_dataset)}; keep its classes, or capture into another folder"
        )
    return EdgeModel(name, with_classes(network, all_labels, labels), labels, model_sha256(path))


def export_network(network: TrainableNetwork, input_size_wh: SizeWH, path: Path) -> Path:
    """Write a network with decoding inside as ONNX, after checking it against torch; an existing file is kept.

    Raises:
        ModelBundleError: the export fails or differs from the network.
    """
    if not path.is_file():
        module = network.decoded(input_size_wh).eval()
        temporary = path.with_name(f".unchecked-{path.name}")
        export_onnx(module, input_size_wh, temporary)
        check_export(module, temporary, input_size_wh, is_ordered=network.has_fixed_places)
        temporary.replace(path)
    return path


def open_exported(
    path: Path, spec: DetectorSpec, *, min_score: float = 0.05, n_threads: int | None = None
) -> OnnxDetector:
    """Return the detector of a file that `export_network` wrote; `spec` comes from the same network."""
    return OnnxDetector(path, spec, min_score=min_score, n_threads=n_threads)


def open_as_detector(
    edge: EdgeModel, input_size_wh: SizeWH, path: Path, *, min_score: float, n_threads: int | None
) -> OnnxDetector:
    """Return an edge model as it runs beside the camera.

    Args:
        edge: the model.
        input_size_wh: of the detector, pixels.
        path: ONNX file of it; written where it is not there yet, its folder as well.
        min_score: lower scores are left out.
        n_threads: CPU threads; None for all.
    """
    make_folder(path.parent)
    return open_exported(
        export_network(edge.network, input_size_wh, path),
        edge.network.detector_spec(edge.name, edge.labels, input_size_wh),
        min_score=min_score,
        n_threads=n_threads,
    )


def _find_weights(config: RunConfig) -> tuple[str, Path, str | None]:
    """Return name, weights file and architecture (None: in the file, or to be found out)."""
    path = Path(config.edge_model)
    if is_detector_folder(path):
        return path.resolve().name, path, None
    if path.is_dir():
        bundle = read_bundle(bundle_folder(path))
        return bundle.name, bundle.weights_path, bundle.architecture
    if path.is_file():
        return path.stem, path, config.architecture
    if path.suffix in WEIGHTS_SUFFIXES or path.parent != Path():
        raise ConfigError(
            f"edge model {path} does not exist; give a weights file, a bundle, a known model's name, or "
            "the folder of a detector of the transformers library"
        )
    model = find_model(config.edge_model)
    if model.architecture is None:
        trainable = ", ".join(m.name for m in list_models() if m.architecture)
        raise ConfigError(f"{model.name} cannot be trained, it is a teacher; edge models: {trainable}")
    return model.name, locate(model.name, models_dir=config.models_dir), config.architecture or model.architecture


def _choose_labels(all_labels: LabelMap, wanted: tuple[str, ...] | None) -> LabelMap:
    if wanted is not None:
        if not wanted or len(set(wanted)) < len(wanted):
            raise ConfigError(f"annotation.classes needs at least one class and each only once, got {list(wanted)}")
        all_labels.ids_of(wanted)
        return LabelMap(wanted)
    return STREET_6 if all_labels == COCO_80 else all_labels


def model_sha256(path: Path) -> str:
    """Return the hash of a model: of a file, or of what a folder of the transformers library says and weighs."""
    if path.is_dir():
        return read_detector_folder(path).sha256()
    return hashlib.sha256(path.read_bytes()).hexdigest()
