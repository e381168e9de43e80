"""The trainable architectures, and loading weights of any of them."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.core.labels import LabelMap
from edge_autotuner.models.ssdlite_weights import SSDLITE_FAMILY
from edge_autotuner.models.torch_weights import Family, load_weights
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.models.transformers_weights import TRANSFORMERS_FAMILY, load_detector_folder
from edge_autotuner.models.yolox_weights import YOLOX_FAMILY

FAMILIES: tuple[Family[TrainableNetwork], ...] = (YOLOX_FAMILY, SSDLITE_FAMILY, TRANSFORMERS_FAMILY)


def load_network(
    path: Path, *, architecture: str | None = None, labels: LabelMap | None = None
) -> tuple[TrainableNetwork, LabelMap]:
    """Read a network of any architecture, and its classes.

    Args:
        path: `.safetensors` (ours, or the published ones of an architecture), an official YOLOX `.pth`, or the
            package (`.tgz`) in which SSDLite is published for TensorFlow.js; or the folder of an RT-DETR v2 or D-FINE
            in the layout of Hugging Face, which names architecture and classes itself.
        architecture: its name, such as "yolox-nano"; default: from the file, or by trial.
        labels: classes of a file that does not name them; default: COCO.

    Raises:
        WeightsError: the file is missing, damaged, or belongs to another architecture.
        MissingDependency: it needs the transformers library, which is not installed.
    """
    if path.is_dir():
        return load_detector_folder(path)
    return load_weights(path, FAMILIES, architecture=architecture, labels=labels)
