"""The interface of trainable networks, for training, evaluation and export.

A new architecture is a class that derives from `TrainableNetwork`, a row in the table of `trainable_weights`, and an
objective in `training.objectives`; nothing else depends on the architectures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self, TypeVar

from torch import Tensor, nn

from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import ConfigError
from edge_autotuner.models.detector_spec import DetectorSpec, Resize

NMS_IOU = 0.6  # per class, as in the published measurements of these models

_Size = TypeVar("_Size")


class TrainableNetwork(nn.Module, ABC):
    """A detector that can be trained: images in, one row of raw numbers per candidate out.

    Input is (B, 3, H, W) float, BGR, 0-255. An architecture scales pixels inside, so that training batches, exported
    files and the edge runtime are the same for all. Output is (B, N, 4 + ...), a box and
    scores in the architecture's own code, with the class scores last.

    Normalization over the batch is folded into the convolutions, or keeps its statistics: training does not depend on
    the batch, and the exported graph is the trained one.

    Attributes:
        architecture: its name, stored with the weights.
        n_classes: number of classes, C.
        resize: of frames to the input.
        size_step_px: both sides of the input must be multiples of this.
        has_fixed_places: whether row i of the output looks at the same place of every picture.
        is_stable_in_bfloat16: whether trainings in bfloat16 were measured to end as those in float32 do, on a CPU.
    """

    architecture: str
    n_classes: int
    resize: ClassVar[Resize]
    size_step_px: ClassVar[int]
    has_fixed_places: ClassVar[bool] = True
    is_stable_in_bfloat16: ClassVar[bool] = False

    def __init__(self, architecture: str, n_classes: int) -> None:
        """Store the attributes; derived classes build the layers, with random weights."""
        super().__init__()
        self.architecture = architecture
        self.n_classes = n_classes

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, N, D) raw outputs."""
        return self.outputs_of(self.features_before(images, "all"), "all")

    @abstractmethod
    def features_before(self, images: Tensor, layers: str) -> tuple[Tensor, ...]:
        """Compute the input of a mode's trained layers; it depends on none of their parameters.

        Args:
            images: (B, 3, H, W).
            layers: "box", "top" or "all"; with "all", the only feature is the images themselves.
        """

    @abstractmethod
    def outputs_of(self, features: tuple[Tensor, ...], layers: str) -> Tensor:
        """Return the (B, N, D) raw outputs for the features of `features_before` in the same mode."""

    @abstractmethod
    def box_parameters(self) -> list[nn.Parameter]:
        """Parameters trained in the mode "box": the layers that predict boxes and classes."""

    @abstractmethod
    def top_parameters(self) -> list[nn.Parameter]:
        """Parameters trained in the mode "top": those of "box", and the last layers before them."""

    @abstractmethod
    def decoded(self, input_size_wh: SizeWH) -> nn.Module:
        """Return the network with decoding for one input size, for evaluation and export.

        The module shares the network's weights, takes the same input, and returns corners (B, N, 4) in input pixels
        and scores (B, N, C) in [0, 1].
        """

    @abstractmethod
    def state_of_classes(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Return the weights of this network for some of its classes, in this order."""

    def of_classes(self, n_classes: int) -> Self:
        """Return a network of the same layers for another number of classes, with random weights."""
        return type(self)(self.architecture, n_classes)

    def description(self) -> dict[str, str]:
        """Return metadata to rebuild the layers from a weights file, besides architecture and classes."""
        return {}

    def layer_parameters(self, layers: str) -> list[nn.Parameter]:
        """Return the parameters trained in a mode.

        Args:
            layers: "box", "top" or "all".
        """
        if layers == "box":
            return self.box_parameters()
        if layers == "top":
            return self.top_parameters()
        return list(self.parameters())

    def check_input_size(self, size_wh: SizeWH, setting: str) -> None:
        """Check an input size.

        Raises:
            ConfigError: the network cannot have it; the message names the setting and sizes that fit.
        """
        step = self.size_step_px
        if any(side % step for side in size_wh):
            fitting = [max(round(side / step), 1) * step for side in size_wh]
            raise ConfigError(
                f"{setting}: both sides must be multiples of {step} for {self.architecture}, got "
                f"{size_wh[0]}x{size_wh[1]}; e.g. {fitting[0]}x{fitting[1]}"
            )

    def detector_spec(self, name: str, labels: LabelMap, input_size_wh: SizeWH) -> DetectorSpec:
        """Return pre- and post-processing of the exported network."""
        return DetectorSpec(name, labels, input_size_wh, self.resize, "bgr", "boxes_scores", nms_iou=NMS_IOU)


def size_of(architecture: str, sizes: Mapping[str, _Size]) -> _Size:
    """Return the size of an architecture among those of its family.

    Raises:
        ConfigError: the family has no such member; the message lists its members.
    """
    if architecture not in sizes:
        raise ConfigError(f"unknown architecture '{architecture}'; known: {', '.join(sizes)}")
    return sizes[architecture]


def freeze_except(network: nn.Module, trainable: Sequence[nn.Parameter]) -> None:
    """Let only these parameters have gradients."""
    chosen = {id(parameter) for parameter in trainable}
    for parameter in network.parameters():
        parameter.requires_grad_(id(parameter) in chosen)
