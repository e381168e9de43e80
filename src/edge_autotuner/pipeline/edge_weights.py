"""Finds the files of the edge model that a run starts from; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_autotuner.config import RunConfig
from edge_autotuner.core import COCO_80, STREET_6, LabelMap
from edge_autotuner.core.file_names import text_of_name
from edge_autotuner.deployment import ModelBundle, bundle_folder, read_bundle
from edge_autotuner.errors import ConfigError
from edge_autotuner.models.catalogue import find_model, list_models
from edge_autotuner.models.transformers_folder import is_detector_folder, read_detector_folder
from edge_autotuner.models.weights_store import WEIGHTS_SUFFIXES, locate
from edge_autotuner.storage import file_sha256


@dataclass(frozen=True)
class EdgeWeights:
    """What the settings name as the edge model.

    Attributes:
        name: how reports call it.
        path: its weights file, or a folder of the transformers library.
        architecture: None: in the file, or to be found out.
        bundle: that the weights are part of; None where they are of no bundle.
    """

    name: str
    path: Path
    architecture: str | None
    bundle: ModelBundle | None = None

    @property
    def sha256(self) -> str:
        """What the model is known by."""
        return model_sha256(self.path)


def find_weights(config: RunConfig) -> EdgeWeights:
    """Return the edge model that the settings name.

    Raises:
        ConfigError: no such model, or it cannot be trained.
        ModelBundleError: it is a bundle, and damaged.
        WeightsError: its file is missing.
    """
    path = Path(config.edge_model)
    if is_detector_folder(path):
        return EdgeWeights(text_of_name(path.resolve().name), path, None)
    if path.is_dir():
        bundle = read_bundle(bundle_folder(path))
        return EdgeWeights(bundle.name, bundle.weights_path, bundle.architecture, bundle)
    if path.is_file():
        return EdgeWeights(text_of_name(path.stem), path, config.architecture)
    if path.suffix in WEIGHTS_SUFFIXES or path.parent != Path():
        raise ConfigError(
            f"edge model {path} does not exist; give a weights file, a bundle, a known model's name, or the folder of "
            "a transformers detector"
        )
    model = find_model(config.edge_model)
    if model.architecture is None:
        trainable = ", ".join(m.name for m in list_models() if m.architecture)
        raise ConfigError(f"{model.name} is a teacher and cannot be trained; edge models: {trainable}")
    there = locate(model.name, models_dir=config.models_dir)
    return EdgeWeights(model.name, there, config.architecture or model.architecture)


def choose_labels(known: LabelMap, wanted: tuple[str, ...] | None) -> LabelMap:
    """Return the classes to learn: the wanted ones, by default all known ones, of a COCO model the six street classes.

    Raises:
        ConfigError: a wanted class is not known, or comes twice.
    """
    if wanted is not None:
        if not wanted or len(set(wanted)) < len(wanted):
            raise ConfigError(f"annotation.classes must have at least one class and no duplicates, got {list(wanted)}")
        known.ids_of(wanted)
        return known.with_names(wanted)
    return STREET_6 if known == COCO_80 else known


def check_labels(name: str, labels: LabelMap, of_dataset: LabelMap) -> None:
    """Make sure that an edge model is to learn the classes that a dataset has.

    Raises:
        ConfigError: it is not.
    """
    if labels != of_dataset:
        raise ConfigError(
            f"the edge model {name} should learn {', '.join(labels)}, but the dataset was captured for "
            f"{', '.join(of_dataset)}; use the dataset's classes, or capture into another folder"
        )


def model_sha256(path: Path) -> str:
    """Return the hash of a model: of a file, or of what a folder of the transformers library says and weighs."""
    if path.is_dir():
        return read_detector_folder(path).sha256()
    return file_sha256(path)
