"""What each architecture is trained for: its loss, and the places at which its outputs are compared with labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from edge_autotuner.core.types import SizeWH
from edge_autotuner.models.ssdlite import Ssdlite
from edge_autotuner.models.ssdlite_anchors import Anchors
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.models.transformers_detr import TransformersDetr
from edge_autotuner.models.yolox import CellGrid, Yolox
from edge_autotuner.training.losses import detection_loss
from edge_autotuner.training.ssdlite_losses import ssdlite_loss
from edge_autotuner.training.targets import LossParts, Target
from edge_autotuner.training.transformers_losses import Places, detr_loss


class Objective(Protocol):
    """The loss of one architecture, for training pictures of one size."""

    @property
    def centres(self) -> Tensor:
        """(N, 2) where each output looks, pixels of the picture; what is known of a place is known of its output.

        Of a network without fixed places, the cells that its outputs may fall into.
        """
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


def objective_for(network: TrainableNetwork, size_wh: SizeWH, *, scarce: Tensor | None = None) -> Objective:
    """Return what a network is trained for.

    Args:
        network: of any known architecture; the objective is on its device.
        size_wh: of the training pictures, pixels.
        scarce: (C,) bool, the classes that distillation keeps wherever no label shows them; None: none.

    Raises:
        TypeError: no loss is known for this class of networks.
    """
    width, height = size_wh
    device = next(network.parameters()).device
    if isinstance(network, Yolox):
        grid = CellGrid.of_input(height, width)
        return YoloxObjective(CellGrid(grid.corners.to(device), grid.strides.to(device)), scarce)
    if isinstance(network, Ssdlite):
        anchors = Anchors.of_input(height, width)
        on_device = (anchors.centres.to(device), anchors.sizes.to(device), anchors.strides.to(device))
        return SsdliteObjective(Anchors(*on_device), scarce)
    if isinstance(network, TransformersDetr):
        return DetrObjective(size_wh, network.n_classes, scarce)
    raise TypeError(f"no loss is known for {type(network).__name__}")


class YoloxObjective:
    """The YOLOX loss on the cells of one picture size."""

    def __init__(self, grid: CellGrid, scarce: Tensor | None = None) -> None:
        self._grid, self._scarce = grid, scarce
        self.centres = grid.centres

    def loss(
        self, outputs: Tensor, targets: Sequence[Target], *, reference: Tensor | None, distill_weight: float
    ) -> LossParts:
        """Compare a batch's logits with its labels."""
        return detection_loss(
            outputs, self._grid, targets, reference=reference, distill_weight=distill_weight, scarce=self._scarce
        )


class SsdliteObjective:
    """The SSDLite loss on the anchors of one picture size."""

    def __init__(self, anchors: Anchors, scarce: Tensor | None = None) -> None:
        self._anchors, self._scarce = anchors, scarce
        self.centres = anchors.centres

    def loss(
        self, outputs: Tensor, targets: Sequence[Target], *, reference: Tensor | None, distill_weight: float
    ) -> LossParts:
        """Compare a batch's codes and logits with its labels."""
        return ssdlite_loss(
            outputs, self._anchors, targets, reference=reference, distill_weight=distill_weight, scarce=self._scarce
        )


class DetrObjective:
    """The loss of RT-DETR v2 and D-FINE on pictures of one size."""

    def __init__(self, size_wh: SizeWH, n_classes: int, scarce: Tensor | None = None) -> None:
        self._places, self._n_classes, self._scarce = Places(size_wh), n_classes, scarce
        self.centres = self._places.centres

    def loss(
        self, outputs: Tensor, targets: Sequence[Target], *, reference: Tensor | None, distill_weight: float
    ) -> LossParts:
        """Compare a batch's boxes and logits with its labels."""
        return detr_loss(
            outputs,
            self._n_classes,
            self._places,
            targets,
            reference=reference,
            distill_weight=distill_weight,
            scarce=self._scarce,
        )
