"""Reads RT-DETR v2 and D-FINE from folders of the transformers library and from our own files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge_autotuner.core.labels import LabelMap
from edge_autotuner.errors import WeightsError
from edge_autotuner.models.torch_weights import Family, Tensors
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.models.transformers_detr import DetrPlan, TransformersDetr
from edge_autotuner.models.transformers_folder import ARCHITECTURES, read_detector_folder
from edge_autotuner.models.transformers_library import read_tensors


def _build(architecture: str, n_classes: int, metadata: Mapping[str, str]) -> TransformersDetr:
    return TransformersDetr(architecture, n_classes, DetrPlan.from_metadata(metadata))


def _as_they_are(_network: TrainableNetwork, tensors: Tensors) -> Tensors:
    return tensors


TRANSFORMERS_FAMILY = Family(dict.fromkeys(ARCHITECTURES.values()), _build, _as_they_are, is_guessed=False)


def load_detector_folder(path: Path) -> tuple[TransformersDetr, LabelMap]:
    """Read a network and its classes from a Hugging Face folder.

    Args:
        path: a folder with config.json, preprocessor_config.json and model.safetensors.

    Raises:
        WeightsError: a file is missing or damaged, or the model is of another kind.
        MissingDependency: the transformers library is not installed.
    """
    folder = read_detector_folder(path)
    network = TransformersDetr(folder.architecture, len(folder.labels), DetrPlan(folder.config, folder.pixels))
    try:
        network.detr.load_state_dict(read_tensors(folder))
    except RuntimeError as exc:
        raise WeightsError(f"{path}: the weights do not match {folder.architecture}: {exc}") from exc
    return network.eval(), folder.labels
