"""The networks of a training, and one step of it.

The student learns; the average of its weights over the last steps is what is validated and kept; the starting weights
stay beside them where the student is to be pulled towards what they say.
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
    """The student with its optimizer, its average and its start.

    Attributes:
        layers: what is trained: "box", "top" or "all".
        student: the network whose weights are changed.
        average: what is validated and kept.
        optimizer: changes the trained parameters of the student.
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
        """Copy the starting weights to where the training computes.

        Args:
            start: the weights to begin with.
            layers: what is trained.
            config: how.
            previous: the model that is not to be forgotten, with the same frozen layers; None: `start`.
            workers: compute the parts of a batch on a CPU; None: the calling thread does.

        Raises:
            ConfigError: there is no such device.
        """
        self._config, self._previous = config, previous or start
        self._device = choose_device(config.device)
        self._is_mixed = has_mixed_precision(config.precision, self._device)
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
        """Return the context in which networks compute: mixed precision where it is wanted."""
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._is_mixed)

    def step(self, batch: FeatureBatch, objective: Objective, lr: float, n_steps_before: int) -> LossParts:
        """Learn from a batch.

        Args:
            batch: for the layers that are trained.
            objective: on the learner's device.
            lr: learning rate.
            n_steps_before: steps made so far; the first ones are averaged over fewer.

        Raises:
            TrainingDiverged: loss or gradients became NaN or infinite; the weights are as they were before.
        """
        parts = self.find_gradients(batch, objective)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self._update_average(n_steps_before + 1)
        return parts

    def find_gradients(self, batch: FeatureBatch, objective: Objective) -> LossParts:
        """Compute loss and clipped gradients, and change no weight.

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
        """Return the loss of some pictures, and the gradient of its sum, not of its mean over positive outputs."""
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
        """Return what the start says; the frozen layers, whose output it is given, are the same in both networks."""
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
