"""The learning curve: losses and validation by epoch."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from edge_autotuner.training.targets import LossParts


@dataclass(frozen=True)
class EpochRecord:
    """One epoch; losses are means over its steps."""

    epoch: int
    loss: float
    box_loss: float
    objectness_loss: float
    class_loss: float
    distillation_loss: float
    val_ap: float
    seconds: float


@dataclass
class EpochSums:
    """Running sums of the loss parts of one epoch."""

    n_steps: int = 0
    values: list[float] = field(default_factory=lambda: [0.0] * 5)

    def add(self, parts: LossParts) -> None:
        """Add a step."""
        self.n_steps += 1
        scalars = (parts.total, parts.box, parts.objectness, parts.classes, parts.distillation)
        latest = torch.stack([scalar.detach() for scalar in scalars]).tolist()
        self.values = [a + b for a, b in zip(self.values, latest, strict=True)]

    def means(self) -> list[float]:
        """Return loss, box, objectness, class and distillation loss; zeros before the first step."""
        return [value / max(self.n_steps, 1) for value in self.values]

    def record(self, epoch: int, val_ap: float, seconds: float) -> EpochRecord:
        """Return the record of the epoch."""
        loss, box, objectness, classes, distillation = self.means()
        return EpochRecord(epoch, loss, box, objectness, classes, distillation, val_ap, seconds)
