"""Detectors: pre- and post-processing, ONNX models, trainable networks, and weights.

Names that need torch are loaded on first use, so that this package works with the edge runtime alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edge_autotuner.models.catalogue import KnownModel, describe_onnx, find_model, list_models
from edge_autotuner.models.detector_spec import DetectorSpec
from edge_autotuner.models.nms import nms_per_class
from edge_autotuner.models.onnx_detector import OnnxDetector
from edge_autotuner.models.preprocess import Placement, prepare_input
from edge_autotuner.models.weights_store import locate, pull

if TYPE_CHECKING:
    from edge_autotuner.models.ssdlite import Ssdlite
    from edge_autotuner.models.torch_weights import save_network, with_classes
    from edge_autotuner.models.trainable import TrainableNetwork
    from edge_autotuner.models.trainable_weights import load_network
    from edge_autotuner.models.yolox import DecodedYolox, Yolox
    from edge_autotuner.models.yolox_weights import load_yolox, save_yolox

_NEEDS_TORCH = {
    "DecodedYolox": "edge_autotuner.models.yolox",
    "Ssdlite": "edge_autotuner.models.ssdlite",
    "TrainableNetwork": "edge_autotuner.models.trainable",
    "Yolox": "edge_autotuner.models.yolox",
    "load_network": "edge_autotuner.models.trainable_weights",
    "load_yolox": "edge_autotuner.models.yolox_weights",
    "save_network": "edge_autotuner.models.torch_weights",
    "save_yolox": "edge_autotuner.models.yolox_weights",
    "with_classes": "edge_autotuner.models.torch_weights",
}

__all__ = [
    "DecodedYolox",
    "DetectorSpec",
    "KnownModel",
    "OnnxDetector",
    "Placement",
    "Ssdlite",
    "TrainableNetwork",
    "Yolox",
    "describe_onnx",
    "find_model",
    "list_models",
    "load_network",
    "load_yolox",
    "locate",
    "nms_per_class",
    "prepare_input",
    "pull",
    "save_network",
    "save_yolox",
    "with_classes",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (any public name)
    if name in _NEEDS_TORCH:
        return getattr(importlib.import_module(_NEEDS_TORCH[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
