"""Imports the transformers library, nowhere else, when one of its detectors is used."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from edge_autotuner.errors import WeightsError
from edge_autotuner.models.transformers_folder import DetectorFolder, require_transformers

_CLASSES = {
    "rt-detr-v2": ("RTDetrV2Config", "RTDetrV2ForObjectDetection"),
    "d-fine": ("DFineConfig", "DFineForObjectDetection"),
}
# What training and inference must agree on, whatever a configuration says; see `TransformersDetr`.
_OURS = {
    "num_denoising": 0,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "anchor_image_size": None,
    "eval_size": None,
}
_LEFT_OUT = {"id2label", "label2id", "num_labels", "dtype", "torch_dtype", "transformers_version", "_name_or_path"}
_NOT_TRAINED = ("num_batches_tracked",)


def library_version() -> str:
    """Return the installed version of the transformers library.

    Raises:
        MissingDependency: it is not installed.
    """
    require_transformers()
    return importlib.metadata.version("transformers")


def build_detr(architecture: str, config: Mapping[str, Any], n_classes: int) -> nn.Module:
    """Return the layers of an "rt-detr-v2" or "d-fine" detector with random weights, from its `config.json`.

    Raises:
        WeightsError: the library cannot build it.
        MissingDependency: the transformers library is not installed.
    """
    configured = _configured(architecture, config, n_classes)
    try:
        return _core_of(_model_class(architecture)(configured))
    except Exception as exc:  # layers that do not fit together, or a backbone of a library that is not there
        raise WeightsError(f"{architecture}: the configuration cannot be built: {_one_line(exc)}") from exc


def read_tensors(folder: DetectorFolder) -> dict[str, Tensor]:
    """Read the weights of a folder, with the layer names of the installed version of the library.

    Raises:
        WeightsError: the file is damaged, or lacks layers of the configuration.
        MissingDependency: the transformers library is not installed.
    """
    model_class = _model_class(folder.architecture)
    config = _configured(folder.architecture, folder.config, len(folder.labels))
    try:
        with _quietly():
            model, found = model_class.from_pretrained(
                str(folder.path), config=config, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except Exception as exc:  # the library raises whatever its readers raise, safetensors' own classes among them
        raise WeightsError(f"cannot read weights {folder.path}: {_one_line(exc)}") from exc
    absent = sorted(str(name) for name in (*found["missing_keys"], *found["mismatched_keys"]))
    if absent:
        raise WeightsError(f"{folder.path}: weights of {len(absent)} layers are missing, the first is {absent[0]}")
    tensors = _core_of(model.float()).state_dict()
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(_NOT_TRAINED)}


def _model_class(architecture: str) -> Any:  # noqa: ANN401 (untyped library)
    require_transformers()
    return getattr(importlib.import_module("transformers"), _CLASSES[architecture][1])


def _configured(architecture: str, config: Mapping[str, Any], n_classes: int) -> Any:  # noqa: ANN401 (untyped library)
    config_class = getattr(importlib.import_module("transformers"), _CLASSES[architecture][0])
    values = {key: value for key, value in config.items() if key not in _LEFT_OUT} | _OURS
    try:
        configured = config_class(**values, num_labels=n_classes)
    except Exception as exc:  # the library checks values with classes of its own
        raise WeightsError(f"{architecture}: the configuration does not match: {_one_line(exc)}") from exc
    last = configured.decoder_layers - 1
    if getattr(configured, "eval_idx", -1) not in (-1, last):
        raise WeightsError(f"{architecture}: eval_idx {configured.eval_idx} is not the last decoder layer, {last}")
    return configured


def _core_of(model: nn.Module) -> nn.Module:
    """Return the layers with the decoder's heads; the library's wrapper only holds the heads again."""
    return model.get_submodule("model")


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence the library's progress, and warnings about layers left out on purpose."""
    logging = importlib.import_module("transformers.utils.logging")
    had_bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bars:
            logging.enable_progress_bar()


def _one_line(exc: Exception) -> str:
    return " ".join(f"{type(exc).__name__}: {exc}".split())[:300]
