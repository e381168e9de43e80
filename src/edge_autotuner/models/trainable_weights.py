"""The architectures that can be trained, and the weights of any of them."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.core.labels import LabelMap
from edge_autotuner.models.ssdlite_weights import SSDLITE_FAMILY
from edge_autotuner.models.torch_weights import Family, load_weights
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.models.yolox_weights import YOLOX_FAMILY

FAMILIES: tuple[Family[TrainableNetwork], ...] = (YOLOX_FAMILY, SSDLITE_FAMILY)


def load_network(
    path: Path, *, architecture: str | None = None, labels: LabelMap | None = None
) -> tuple[TrainableNetwork, LabelMap]:
    """Read a network of any architecture and the classes that it knows.

    Args:
        path: `.safetensors` (ours, or the published ones of an architecture), an official YOLOX `.pth`, or the
            package (`.tgz`) in which SSDLite is published for TensorFlow.js.
        architecture: its name, such as "yolox-nano"; None: taken from the file, or found out by trying.
        labels: classes of the file where it does not name them; None: COCO.

    Raises:
        WeightsError: the file is missing, damaged, or belongs to another architecture.
    """
    return load_weights(path, FAMILIES, architecture=architecture, labels=labels)
