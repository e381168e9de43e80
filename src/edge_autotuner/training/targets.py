"""What a loss is given and what it gives back, whatever the architecture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Target:
    """What is known of one picture.

    Attributes:
        boxes_xyxy: (G, 4) labelled boxes, input pixels.
        class_ids: (G,) int64.
        is_known: (N,) bool, outputs that may count as background.
        weights: (G,) how much each label counts, in [0, 1]; None: all fully.
    """

    boxes_xyxy: Tensor
    class_ids: Tensor
    is_known: Tensor
    weights: Tensor | None = None

    def weights_of(self, objects: Tensor) -> Tensor:
        """Return (P,) how much the labels of these indices count."""
        if self.weights is None:
            return self.boxes_xyxy.new_ones(len(objects))
        return self.weights[objects]

    def to(self, device: torch.device) -> Target:
        """Return the same on another device."""
        weights = None if self.weights is None else self.weights.to(device)
        return Target(self.boxes_xyxy.to(device), self.class_ids.to(device), self.is_known.to(device), weights)


@dataclass(frozen=True)
class Assignment:
    """Which outputs answer for which objects.

    Attributes:
        cells: (P,) indices of the positive outputs, rising.
        objects: (P,) index of each one's object.
        ious: (P,) overlap of its present box with that object.
    """

    cells: Tensor
    objects: Tensor
    ious: Tensor


@dataclass(frozen=True)
class LossParts:
    """The loss and what it is made of; each a scalar, summed and divided by the positive outputs of the batch.

    An architecture without a score of its own for "something is here" has an objectness loss of zero.
    """

    total: Tensor
    box: Tensor
    objectness: Tensor
    classes: Tensor
    distillation: Tensor
    n_positive: int

    @property
    def divisor(self) -> int:
        """What the sums were divided by."""
        return max(self.n_positive, 1)


def join_losses(parts: Sequence[LossParts]) -> LossParts:
    """Return the loss of a batch from those of its parts, without gradients."""
    n_positive = sum(part.n_positive for part in parts)

    def joined(name: str) -> Tensor:
        sums = [getattr(part, name).detach() * part.divisor for part in parts]
        return torch.stack(sums).sum() / max(n_positive, 1)

    return LossParts(
        joined("total"), joined("box"), joined("objectness"), joined("classes"), joined("distillation"), n_positive
    )
