"""What each architecture is trained for: its loss, and the places at which its outputs are compared with labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from edge_autotuner.core.types import SizeWH
from edge_autotuner.models.ssdlite import Ssdlite
from edge_autotuner.models.ssdlite_anchors import Anchors
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.models.yolox import CellGrid, Yolox
from edge_autotuner.training.losses import detection_loss
from edge_autotuner.training.ssdlite_losses import ssdlite_loss
from edge_autotuner.training.targets import LossParts, Target


class Objective(Protocol):
    """The loss of one architecture, for training pictures of one size."""

    @property
    def centres(self) -> Tensor:
        """(N, 2) where each output looks, pixels of the picture; what is known of a place is known of its output."""
        ...

    def loss(
        self, outputs: Tensor, targets: Sequence[Target], *, reference: Tensor | None, distill_weight: float
    ) -> LossParts:
        """Compare a batch's outputs with its labels.

        Args:
            outputs: (B, N, D), as the network returns them.
            targets: one per picture.
            reference: outputs of the starting model for the same pictures, for distillation.
            distill_weight: weight of the pull towards `reference` where no label speaks.
        """
        ...


def objective_for(network: TrainableNetwork, size_wh: SizeWH) -> Objective:
    """Return what a network is trained for.

    Args:
        network: of any known architecture.
        size_wh: of the training pictures, pixels.

    Raises:
        TypeError: no loss is known for this class of networks.
    """
    width, height = size_wh
    if isinstance(network, Yolox):
        return YoloxObjective(CellGrid.of_input(height, width))
    if isinstance(network, Ssdlite):
        return SsdliteObjective(Anchors.of_input(height, width))
    raise TypeError(f"no loss is known for {type(network).__name__}")


class YoloxObjective:
    """The YOLOX loss on the cells of one picture size."""

    def __init__(self, grid: CellGrid) -> None:
        self._grid = grid
        self.centres = grid.centres

    def loss(
        self, outputs: Tensor, targets: Sequence[Target], *, reference: Tensor | None, distill_weight: float
    ) -> LossParts:
        """Compare a batch's logits with its labels."""
        return detection_loss(outputs, self._grid, targets, reference=reference, distill_weight=distill_weight)


class SsdliteObjective:
    """The SSDLite loss on the anchors of one picture size."""

    def __init__(self, anchors: Anchors) -> None:
        self._anchors = anchors
        self.centres = anchors.centres

    def loss(
        self, outputs: Tensor, targets: Sequence[Target], *, reference: Tensor | None, distill_weight: float
    ) -> LossParts:
        """Compare a batch's codes and logits with its labels."""
        return ssdlite_loss(outputs, self._anchors, targets, reference=reference, distill_weight=distill_weight)
