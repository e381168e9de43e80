"""The edge model that a run starts from, and every model made of it: as a detector, as a file, as a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_autotuner.config import RunConfig
from edge_autotuner.config.annotation import ZOOM
from edge_autotuner.core import Clock, LabelMap
from edge_autotuner.core.types import SizeWH
from edge_autotuner.deployment import ModelBundle, check_export, export_onnx, write_bundle
from edge_autotuner.errors import WeightsError
from edge_autotuner.models.onnx_detector import OnnxDetector
from edge_autotuner.models.torch_weights import network_bytes, with_classes
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.models.trainable_weights import load_network
from edge_autotuner.pipeline.edge_weights import choose_labels, find_weights
from edge_autotuner.storage import remove_folder
from edge_autotuner.storage.atomic import make_folder


@dataclass(frozen=True)
class EdgeModel:
    """The model that a run improves, or one that was trained from it.

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

    @property
    def weights(self) -> bytes:
        """Content of a weights file."""
        return network_bytes(self.network, self.labels)

    def export(self, input_size_wh: SizeWH, path: Path) -> Path:
        """Write the network with decoding inside as ONNX, checked against torch; an existing file is kept.

        Raises:
            ModelBundleError: the export fails or differs from the network.
        """
        if not path.is_file():
            make_folder(path.parent)
            module = self.network.decoded(input_size_wh).eval()
            temporary = path.with_name(f".unchecked-{path.name}")
            export_onnx(module, input_size_wh, temporary)
            check_export(module, temporary, input_size_wh, is_ordered=self.network.has_fixed_places)
            temporary.replace(path)
        return path

    def as_detector(
        self, input_size_wh: SizeWH, path: Path, *, min_score: float = 0.05, n_threads: int | None = None
    ) -> OnnxDetector:
        """Return the model as it runs beside the camera.

        Args:
            input_size_wh: of the detector, pixels.
            path: its ONNX file; written where it does not exist.
            min_score: lower scores are left out.
            n_threads: CPU threads; None for all.

        Raises:
            ModelBundleError: as `export`.
            WeightsError: the existing file is damaged.
        """
        spec = self.network.detector_spec(self.name, self.labels, input_size_wh)
        try:
            return OnnxDetector(self.export(input_size_wh, path), spec, min_score=min_score, n_threads=n_threads)
        except WeightsError as exc:
            raise WeightsError(f"{exc}; delete {path} to create it again") from exc

    def write_bundle(
        self, input_size_wh: SizeWH, folder: Path, *, name: str, clock: Clock | None = None
    ) -> ModelBundle:
        """Write the model as a bundle, as it is; what a killed process began there is replaced.

        Raises:
            ModelBundleError: it cannot be exported.
        """
        exported = folder.with_name(f".{folder.name}.onnx")
        exported.unlink(missing_ok=True)  # of a killed process, and perhaps of another model
        model = self.export(input_size_wh, exported).read_bytes()
        remove_folder(folder, below=folder.parent)
        bundle = write_bundle(
            folder,
            name=name,
            architecture=self.network.architecture,
            detector=self.network.detector_spec(name, self.labels, input_size_wh),
            model=model,
            weights=self.weights,
            metrics={},
            promotion={},
            lineage={"edge_model": self.name, "edge_model_sha256": self.sha256, "trained_layers": None},
            clock=clock,
        )
        exported.unlink(missing_ok=True)
        return bundle


def open_edge_model(config: RunConfig) -> EdgeModel:
    """Load the edge model that the settings name; `Session.edge_model` does so once for all stages.

    Raises:
        ConfigError: no such model, it cannot have an input of the wanted size, or a wanted class is not one of its
            classes.
        WeightsError: its weights are missing or damaged.
    """
    found = find_weights(config)
    network, all_labels = load_network(found.path, architecture=found.architecture)
    network.check_input_size(config.input_size, "input_size")
    if ZOOM in config.annotation.teachers or config.training.second_look.enabled:
        network.check_input_size(config.annotation.zoom_input, "annotation.zoom_input")
    labels = choose_labels(all_labels, config.annotation.classes)
    return EdgeModel(found.name, with_classes(network, all_labels, labels), labels, found.sha256)
