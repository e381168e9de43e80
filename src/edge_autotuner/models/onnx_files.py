"""Describes ONNX files that are not in the catalogue."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.core.labels import COCO_80, LabelMap
from edge_autotuner.errors import ConfigError, WeightsError
from edge_autotuner.models.catalogue import ADAPTERS
from edge_autotuner.models.detector_spec import DetectorSpec
from edge_autotuner.models.onnx_detector import open_session


def describe_onnx(model: Path, adapter: str | None, labels: LabelMap = COCO_80) -> DetectorSpec:
    """Return how an ONNX file of a known family is fed and read; the input size comes from the file.

    Args:
        model: the file.
        adapter: family: deim, picodet or yolox.
        labels: its classes, in the order of its outputs.

    Raises:
        ConfigError: no or an unknown adapter is named.
        WeightsError: the file is missing, is no ONNX model, or its input has no fixed size.
    """
    known = ", ".join(ADAPTERS)
    if adapter is None:
        raise ConfigError(f"{model} is not a known model; set --adapter to one of {known}")
    if adapter not in ADAPTERS:
        raise ConfigError(f"unknown adapter '{adapter}'; known adapters: {known}")
    shape = list(open_session(model, model.stem).get_inputs()[0].shape)
    if len(shape) != 4 or shape[1] != 3 or not all(isinstance(side, int) for side in shape[2:]):
        raise WeightsError(f"{model}: expected an input of shape (1, 3, height, width) with a fixed size, got {shape}")
    return ADAPTERS[adapter](model.stem, (shape[3], shape[2]), labels)
