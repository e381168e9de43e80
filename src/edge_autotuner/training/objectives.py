"""The objective of each architecture: its loss, and the centres of its outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

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
from edge_autotuner.training.transformers_losses import PictureCells, detr_loss


@dataclass(frozen=True)
class Objective:
    """The loss of one architecture, for training pictures of one size.

    Attributes:
        centres: (N, 2) where each output looks, pixels; decides which outputs are known. For a network without fixed
            places: the cells of the picture.
        compare: the loss function, bound to the size of the pictures.
    """

    centres: Tensor
    compare: Callable[..., LossParts]

    def loss(
        self, outputs: Tensor, targets: Sequence[Target], *, reference: Tensor | None, distill_weight: float
    ) -> LossParts:
        """Compare a batch's outputs with its labels.

        Args:
            outputs: (B, N, D), as the network returns them.
            targets: one per picture.
            reference: outputs of the starting model for the same pictures, for distillation.
            distill_weight: weight of the pull towards `reference` where labels say nothing.
        """
        return self.compare(outputs, targets=targets, reference=reference, distill_weight=distill_weight)


def objective_for(network: TrainableNetwork, size_wh: SizeWH, *, scarce: Tensor | None = None) -> Objective:
    """Return the objective of a network.

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
        cells = CellGrid.of_input(height, width)
        grid = CellGrid(cells.corners.to(device), cells.strides.to(device))
        return Objective(grid.centres, partial(detection_loss, grid=grid, scarce=scarce))
    if isinstance(network, Ssdlite):
        boxes = Anchors.of_input(height, width)
        anchors = Anchors(boxes.centres.to(device), boxes.sizes.to(device), boxes.strides.to(device))
        return Objective(anchors.centres, partial(ssdlite_loss, anchors=anchors, scarce=scarce))
    if isinstance(network, TransformersDetr):
        of_picture = PictureCells(size_wh)
        compare = partial(detr_loss, n_classes=network.n_classes, cells=of_picture, scarce=scarce)
        return Objective(of_picture.centres, compare)
    raise TypeError(f"no loss is known for {type(network).__name__}")
