"""Finds the edge model that a run starts from, and turns networks into ONNX files that the edge runtime runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_autotuner.config import RunConfig
from edge_autotuner.config.annotation import ZOOM
from edge_autotuner.core import Clock, LabelMap
from edge_autotuner.core.types import SizeWH
from edge_autotuner.deployment import ModelBundle, check_export, export_onnx, write_bundle
from edge_autotuner.errors import WeightsError
from edge_autotuner.models.detector_spec import DetectorSpec
from edge_autotuner.models.onnx_detector import OnnxDetector
from edge_autotuner.models.torch_weights import network_bytes, with_classes
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.models.trainable_weights import load_network
from edge_autotuner.pipeline.edge_weights import check_labels, choose_labels, find_weights
from edge_autotuner.storage import remove_folder
from edge_autotuner.storage.atomic import make_folder


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
    found = find_weights(config)
    network, all_labels = load_network(found.path, architecture=found.architecture)
    network.check_input_size(config.input_size, "input_size")
    if ZOOM in config.annotation.teachers or config.training.second_look.enabled:
        network.check_input_size(config.annotation.zoom_input, "annotation.zoom_input")
    labels = choose_labels(all_labels, config.annotation.classes)
    if of_dataset is not None:
        check_labels(found.name, labels, of_dataset)
    return EdgeModel(found.name, with_classes(network, all_labels, labels), labels, found.sha256)


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


def write_unchanged(
    edge: EdgeModel, input_size_wh: SizeWH, folder: Path, *, name: str, clock: Clock | None = None
) -> ModelBundle:
    """Write an edge model as a bundle, as it is; what a killed process began there is replaced.

    Args:
        edge: the model.
        input_size_wh: of the detector, pixels.
        folder: of the bundle.
        name: of the bundle.
        clock: says when it was made; None: the machine's.

    Raises:
        ModelBundleError: it cannot be exported.
    """
    make_folder(folder.parent)
    exported = folder.with_name(f".{folder.name}.onnx")
    exported.unlink(missing_ok=True)  # of a killed process, and perhaps of another model
    model = export_network(edge.network, input_size_wh, exported).read_bytes()
    remove_folder(folder, below=folder.parent)
    bundle = write_bundle(
        folder,
        name=name,
        architecture=edge.network.architecture,
        detector=edge.network.detector_spec(name, edge.labels, input_size_wh),
        model=model,
        weights=network_bytes(edge.network, edge.labels),
        metrics={},
        promotion={},
        lineage={"edge_model": edge.name, "edge_model_sha256": edge.sha256, "trained_layers": None},
        clock=clock,
    )
    exported.unlink(missing_ok=True)
    return bundle


def open_exported(
    path: Path, spec: DetectorSpec, *, min_score: float = 0.05, n_threads: int | None = None
) -> OnnxDetector:
    """Return the detector of a file that `export_network` wrote; `spec` comes from the same network.

    Raises:
        WeightsError: somebody has damaged the file.
    """
    try:
        return OnnxDetector(path, spec, min_score=min_score, n_threads=n_threads)
    except WeightsError as exc:
        raise WeightsError(f"{exc}; delete {path}, it is made again") from exc


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
