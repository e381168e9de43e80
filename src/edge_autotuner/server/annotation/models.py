"""Finds and loads the groundtruth models of the settings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_autotuner._version import __version__
from edge_autotuner.config.server import ServedModel
from edge_autotuner.core.fingerprints import fingerprint_values
from edge_autotuner.core.protocols import Detector
from edge_autotuner.core.types import SizeWH
from edge_autotuner.deployment.bundle import read_bundle
from edge_autotuner.deployment.deployed import bundle_folder
from edge_autotuner.deployment.runtime import load_edge_detector
from edge_autotuner.errors import ConfigError, MissingDependency, errors_about
from edge_autotuner.models.catalogue import describe_onnx, find_model
from edge_autotuner.models.detector_spec import DetectorSpec, Resize
from edge_autotuner.models.onnx_detector import OnnxDetector
from edge_autotuner.models.transformers_folder import is_detector_folder, read_detector_folder
from edge_autotuner.models.weights_store import locate

if TYPE_CHECKING:
    pass

_ONNX_SUFFIX = ".onnx"
_NETWORK_SUFFIXES = (".safetensors", ".pth", ".tgz")


@dataclass(frozen=True)
class LoadedModel:
    """A loaded model.

    Attributes:
        sha256: of its file or folder.
        settings: hash of everything else that its answers depend on.
        resize: how pictures are resized; None if unknown.
    """

    detector: Detector
    sha256: str
    settings: str
    resize: Resize | None = None


ModelLoader = Callable[[], LoadedModel]
"""Loads a model; takes a while."""


def find_loader(name: str, model: ServedModel, models_dir: Path | None) -> ModelLoader:
    """Check that a model is there, and return its loader.

    Raises:
        ConfigError: the source is unknown, or a setting does not fit it.
        WeightsError, ModelBundleError: it is missing or damaged.
        MissingDependency: its library is not installed.
    """
    with errors_about(f"models.{name}"):
        load = _find(model, models_dir)

    def loader() -> LoadedModel:
        with errors_about(f"models.{name}"):
            return load()

    return loader


def _find(model: ServedModel, models_dir: Path | None) -> ModelLoader:
    path = Path(model.source)
    if is_detector_folder(path):
        spec = read_detector_folder(path).spec
        return lambda: _load_network(path, None, model.input_size or spec.input_size_wh, model)
    if path.is_dir():
        _has_own_input(model)
        read_bundle(bundle_folder(path))
        return lambda: _load_bundle(path, model)
    if path.is_file() and path.suffix in _NETWORK_SUFFIXES:
        if model.input_size is None:
            raise ConfigError(f"{path} is a weights file; set input_size to its input size")
        size_wh = model.input_size
        return lambda: _load_network(path, None, size_wh, model)
    if path.is_file():
        _has_own_input(model)
        spec = describe_onnx(path, model.adapter)
        return lambda: _load_onnx(path, spec, model)
    if path.suffix in (_ONNX_SUFFIX, *_NETWORK_SUFFIXES) or path.parent != Path():
        raise ConfigError(f"{path} does not exist")
    return _find_known(model, models_dir)


def _find_known(model: ServedModel, models_dir: Path | None) -> ModelLoader:
    known = find_model(model.source)
    path = locate(known.name, models_dir=models_dir)
    if known.detector is not None:
        _has_own_input(model)
        spec = known.detector
        return lambda: _load_onnx(path, spec, model)
    return lambda: _load_network(path, known.architecture, model.input_size or known.input_size_wh, model)


def _has_own_input(model: ServedModel) -> None:
    if model.input_size is not None:
        raise ConfigError(f"{model.source} has a fixed input size; remove input_size")


def _load_onnx(path: Path, spec: DetectorSpec, model: ServedModel) -> LoadedModel:
    content = path.read_bytes()
    detector = OnnxDetector(
        content, spec, n_threads=model.n_threads, min_score=model.min_score, max_detections=model.max_detections
    )
    return _loaded(detector, detector.spec, hashlib.sha256(content).hexdigest(), model)


def _load_bundle(path: Path, model: ServedModel) -> LoadedModel:
    folder = bundle_folder(path)
    detector = load_edge_detector(
        folder, model.n_threads, min_score=model.min_score, max_detections=model.max_detections
    )
    bundle = read_bundle(folder)
    return _loaded(detector, bundle.detector, bundle.model.sha256, model)


def _load_network(path: Path, architecture: str | None, size_wh: SizeWH, model: ServedModel) -> LoadedModel:
    try:
        # torch loads only where a network is served
        from edge_autotuner.models.torch_detector import TorchDetector
        from edge_autotuner.models.trainable_weights import load_network
    except ModuleNotFoundError as exc:
        raise MissingDependency(f"{model.source} needs {exc.name}: pip install 'edge-autotuner[train]'") from exc
    network, labels = load_network(path, architecture=architecture)
    network.check_input_size(size_wh, "input_size")
    detector = TorchDetector(
        network,
        labels,
        size_wh,
        min_score=model.min_score,
        max_detections=model.max_detections,
        n_threads=model.n_threads,
    )
    if path.is_dir():
        return _loaded(detector, detector.spec, read_detector_folder(path).sha256(), model)
    return _loaded(detector, detector.spec, hashlib.sha256(path.read_bytes()).hexdigest(), model)


def _loaded(detector: Detector, spec: DetectorSpec, sha256: str, model: ServedModel) -> LoadedModel:
    depends_on = model.model_dump(mode="json", exclude={"source", "n_threads", "n_parallel"})
    size_wh = list(detector.input_size_wh)
    settings = fingerprint_values({**depends_on, "input_size": size_wh, "version": __version__})
    return LoadedModel(detector, sha256, settings, spec.resize)
