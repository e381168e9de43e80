"""The networks of a training, and its training step.

The student is trained; the moving average of its weights is validated and kept; the previous model serves as the
reference for distillation.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from edge_autotuner.config import TrainingConfig
from edge_autotuner.errors import TrainingDiverged
from edge_autotuner.models.trainable import TrainableNetwork, freeze_except
from edge_autotuner.training.device import choose_device, has_mixed_precision
from edge_autotuner.training.distillation import move_towards
from edge_autotuner.training.feature_cache import FeatureBatch
from edge_autotuner.training.microbatches import Features, MicrobatchWorkers, split_batch, split_like, sum_gradients
from edge_autotuner.training.objectives import Objective
from edge_autotuner.training.optimizer import ProportionalAdamW
from edge_autotuner.training.targets import LossParts, Target, join_losses

Network = TypeVar("Network", bound=TrainableNetwork)

_MAX_GRADIENT_NORM = 35.0


class Learner(Generic[Network]):
    """The student with its optimizer, its moving average and its reference.

    Attributes:
        layers: trained layers: "box", "top" or "all".
        student: the network in training.
        average: moving average of its weights; validated and kept.
        optimizer: of the trained parameters.
    """

    def __init__(
        self,
        start: Network,
        layers: str,
        config: TrainingConfig,
        *,
        previous: Network | None = None,
        workers: MicrobatchWorkers | None = None,
    ) -> None:
        """Copy the networks to the device of the training.

        Args:
            start: starting weights.
            layers: trained layers.
            config: training settings.
            previous: the model to remember, with the same frozen layers; default: `start`.
            workers: compute microbatches on a CPU; default: the calling thread.

        Raises:
            ConfigError: there is no such device.
        """
        self._config, self._previous = config, previous or start
        self._device = choose_device(config.device)
        self._is_mixed = has_mixed_precision(config.precision, self._device, is_stable=start.is_stable_in_bfloat16)
        self._workers = workers or MicrobatchWorkers()
        self.layers = layers
        self.student = self._copy(start).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average = self._copy(start).eval()
        self._trained = self.student.layer_parameters(layers)
        self._averaged: list[Tensor] = [p.detach() for p in self.average.layer_parameters(layers)]
        freeze_except(self.student, self._trained)
        self.optimizer = ProportionalAdamW(_decay_groups(self._trained, config.weight_decay), lr=config.max_lr)
        self._reference = self._copy(self._previous).eval() if config.distill_weight else None

    @property
    def n_parameters(self) -> int:
        """Trained parameters."""
        return sum(parameter.numel() for parameter in self._trained)

    def computing(self) -> AbstractContextManager[object]:
        """Return the autocast context of the networks."""
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._is_mixed)

    def step(self, batch: FeatureBatch, objective: Objective, lr: float, n_steps_before: int) -> LossParts:
        """Make one optimizer step.

        Args:
            batch: features for the trained layers.
            objective: on the learner's device.
            lr: learning rate.
            n_steps_before: steps made so far; the average of the first steps has a shorter memory.

        Raises:
            TrainingDiverged: loss or gradients are NaN or infinite; the weights are unchanged.
        """
        parts = self.find_gradients(batch, objective)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self._update_average(n_steps_before + 1)
        return parts

    def find_gradients(self, batch: FeatureBatch, objective: Objective) -> LossParts:
        """Compute loss and clipped gradients without changing weights.

        Raises:
            TrainingDiverged: one of them is NaN or infinite.
        """
        targets = [target.to(self._device) for target in batch.targets]
        features = split_batch(batch.features, is_cut=self._device.type == "cpu")

        def learn(microbatch: tuple[Features, Sequence[Target]]) -> tuple[LossParts, list[Tensor | None]]:
            return self._learn(*microbatch, objective)

        found = self._workers.map(learn, list(zip(features, split_like(targets, features), strict=True)))
        parts = join_losses([losses for losses, _ in found])
        loss = float(parts.total)
        if not math.isfinite(loss):
            raise TrainingDiverged(f"loss is {loss}")
        totals = sum_gradients([gradients for _, gradients in found], 1.0 / parts.divisor)
        for parameter, gradient in zip(self._trained, totals, strict=True):
            parameter.grad = gradient
        norm = float(nn.utils.clip_grad_norm_(self._trained, _MAX_GRADIENT_NORM, foreach=True))
        if not math.isfinite(norm):
            raise TrainingDiverged(f"loss is {loss:.3g}, but its gradient is {norm}")
        return parts

    def candidate(self) -> Network:
        """Return the averaged weights, moved towards the previous model by its share."""
        if self._config.keep_start == 0:
            return self.average
        candidate = copy.deepcopy(self.average)
        move_towards(candidate, self._previous, self._config.keep_start)
        return candidate

    def _copy(self, network: Network) -> Network:
        return copy.deepcopy(network).to(self._device)

    def _learn(
        self, features: Features, targets: Sequence[Target], objective: Objective
    ) -> tuple[LossParts, list[Tensor | None]]:
        """Return the loss of a microbatch, and the gradients of its sum, not of its mean over positive outputs."""
        with self.computing():
            outputs = self.student.outputs_of(features, self.layers)
            reference = self._reference_outputs(features)
        losses = objective.loss(
            outputs.float(), targets, reference=reference, distill_weight=self._config.distill_weight
        )
        total = losses.total * losses.divisor
        return losses, list(torch.autograd.grad(total, self._trained, allow_unused=True))

    @torch.no_grad()
    def _reference_outputs(self, features: Features) -> Tensor | None:
        """Return the reference's outputs; it shares the frozen layers, whose features it is given."""
        return None if self._reference is None else self._reference.outputs_of(features, self.layers).float()

    @torch.no_grad()
    def _update_average(self, n_steps: int) -> None:
        decay = min(self._config.ema_decay, (1 + n_steps) / (10 + n_steps))  # the first steps soon forget the start
        torch._foreach_lerp_(self._averaged, [p.detach() for p in self._trained], 1 - decay)


def _decay_groups(parameters: Sequence[nn.Parameter], weight_decay: float) -> list[dict[str, object]]:
    """Weights decay, biases do not."""
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
