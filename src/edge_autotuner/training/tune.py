"""Fine-tunes a student on a teacher's labels.

The averaged weights are validated after each epoch on the last part of the training period; the best ones are
returned. The starting weights take part in that choice as epoch 0, so tuning never returns something that
validates worse than what it was given.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import nn

from edge_autotuner.config import TrainingConfig
from edge_autotuner.core.clock import Deadline
from edge_autotuner.core.progress import NoProgress, Progress
from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import TrainingDiverged, TrainingError
from edge_autotuner.models.trainable import TrainableNetwork, freeze_except
from edge_autotuner.training.checkpoints import (
    EpochRecord,
    TrainingState,
    load_best,
    load_checkpoint,
    save_best,
    save_checkpoint,
)
from edge_autotuner.training.optimizer import ProportionalAdamW
from edge_autotuner.training.pictures import BatchMaker
from edge_autotuner.training.samples import TrainingSample
from edge_autotuner.training.targets import LossParts

Network = TypeVar("Network", bound=TrainableNetwork)

Validate = Callable[[Network], float]
"""Returns the AP50:95, in [0, 1], of a network on the validation frames."""

_WARMUP_FRACTION = 0.3
_START_LR_DIVISOR = 25.0
_END_LR_DIVISOR = 1e4
_MAX_GRADIENT_NORM = 35.0


@dataclass(frozen=True)
class TuningResult(Generic[Network]):
    """What came out of a training.

    Attributes:
        network: the best averaged weights.
        layers: what was trained: "box", "top" or "all".
        best_epoch: 0 for the starting weights, else counted from 1.
        best_val_ap: AP50:95 of the best weights on the validation frames.
        history: one record per epoch; the record of epoch 0 holds the starting weights' validation.
        stopped_by: "epochs", "patience" or "deadline".
        n_parameters: trained parameters.
        seconds: time spent training, earlier interrupted parts included.
    """

    network: Network
    layers: str
    best_epoch: int
    best_val_ap: float
    history: tuple[EpochRecord, ...]
    stopped_by: str
    n_parameters: int
    seconds: float


def tune(
    network: Network,
    samples: Sequence[TrainingSample],
    config: TrainingConfig,
    *,
    input_size_wh: SizeWH,
    validate: Validate[Network],
    folder: Path | None = None,
    fingerprint: str = "",
    deadline: Deadline | None = None,
    progress: Progress | None = None,
) -> TuningResult[Network]:
    """Train a copy of a network.

    Args:
        network: the starting weights; left unchanged.
        samples: training pictures with labels.
        config: how to train.
        input_size_wh: the network's input at run time, pixels.
        validate: scores a network; higher is better.
        folder: where checkpoints go; None keeps none, so that nothing can be resumed.
        fingerprint: of data and settings; a checkpoint of another fingerprint is not continued.
        deadline: checked after every step; the best weights until then are returned.
        progress: told of every step.

    Raises:
        TrainingError: there is nothing to train on.
        TrainingDiverged: the loss became NaN or infinite.
    """
    if not any(len(sample.boxes_xyxy) for sample in samples):
        raise TrainingError("no labelled object in the training frames: lower annotation.min_score or capture more")
    with _threads(config.n_threads):
        run = _Training(network, samples, config, input_size_wh, validate, folder, fingerprint)
        return run.to_the_end(deadline or Deadline(config.deadline_s), progress or NoProgress())


def choose_layers(config: TrainingConfig, n_boxes: int) -> str:
    """Resolve "auto": the paper finds the head safest with little data, all layers best with enough."""
    if config.layers != "auto":
        return config.layers
    return "all" if n_boxes >= config.auto_all_from_boxes else "box"


def learning_rate(fraction: float, max_lr: float) -> float:
    """Return the one-cycle rate after a share, in [0, 1], of the training (Smith & Topin, arXiv 1708.07120)."""
    start, end = max_lr / _START_LR_DIVISOR, max_lr / _END_LR_DIVISOR
    if fraction < _WARMUP_FRACTION:
        return _cosine(start, max_lr, fraction / _WARMUP_FRACTION)
    return _cosine(max_lr, end, (fraction - _WARMUP_FRACTION) / (1 - _WARMUP_FRACTION))


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(max(fraction, 0.0), 1.0))) / 2


@contextmanager
def _threads(n_threads: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class _EpochSums:
    """Running sums of the loss parts over one epoch."""

    n_steps: int = 0
    values: list[float] = field(default_factory=lambda: [0.0] * 5)

    def add(self, parts: LossParts) -> None:
        self.n_steps += 1
        scalars = (parts.total, parts.box, parts.objectness, parts.classes, parts.distillation)
        self.values = [a + float(b.detach()) for a, b in zip(self.values, scalars, strict=True)]

    def means(self) -> list[float]:
        return [value / max(self.n_steps, 1) for value in self.values]

    def record(self, epoch: int, val_ap: float, seconds: float) -> EpochRecord:
        loss, box, objectness, classes, distillation = self.means()
        return EpochRecord(epoch, loss, box, objectness, classes, distillation, val_ap, seconds)


class _Training(Generic[Network]):
    """One training with all its moving parts; lives inside `tune`."""

    def __init__(
        self,
        start: Network,
        samples: Sequence[TrainingSample],
        config: TrainingConfig,
        input_size_wh: SizeWH,
        validate: Validate[Network],
        folder: Path | None,
        fingerprint: str,
    ) -> None:
        self.config, self.validate, self.folder = config, validate, folder
        self.layers = choose_layers(config, sum(len(sample.boxes_xyxy) for sample in samples))
        self.start = copy.deepcopy(start).eval()
        self.student: Network = copy.deepcopy(start).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average = copy.deepcopy(start).eval()
        self.best = copy.deepcopy(start).eval()
        trainable = self.student.layer_parameters(self.layers)
        freeze_except(self.student, trainable)
        self.optimizer = ProportionalAdamW(_decay_groups(trainable, config.weight_decay), lr=config.max_lr)
        self.n_parameters = sum(parameter.numel() for parameter in trainable)
        self.batches = BatchMaker(
            samples, input_size_wh, network=start, augmentation=config.augmentation, seed=config.seed
        )
        self.steps_per_epoch = _steps_per_epoch(config, len(samples))
        self.state = self._resume(fingerprint)

    def to_the_end(self, deadline: Deadline, progress: Progress) -> TuningResult[Network]:
        config, state = self.config, self.state
        progress.start("training", config.n_epochs * self.steps_per_epoch)
        progress.advance(state.epoch * self.steps_per_epoch)
        if not state.history:
            self._finish_epoch(_EpochSums(), 0.0)
        stopped_by = "epochs"
        while state.epoch < config.n_epochs:
            if self._is_out_of_patience():
                stopped_by = "patience"
                break
            began_s = deadline.elapsed_s
            sums = self._run_epoch(deadline, progress)
            if deadline.has_passed and sums.n_steps < self.steps_per_epoch:
                stopped_by = "deadline"
                if sums.n_steps == 0:
                    break
            state.epoch += 1
            self._finish_epoch(sums, deadline.elapsed_s - began_s)
            if stopped_by == "deadline":
                break
        progress.finish()
        return self._result(stopped_by)

    def _is_out_of_patience(self) -> bool:
        """Whether validation has stood still for too long; while the learning rate rises, it may fall."""
        warmed_up = math.ceil(_WARMUP_FRACTION * self.config.n_epochs)
        return self.state.epoch - max(self.state.best_epoch, warmed_up) >= self.config.patience_epochs

    def _resume(self, fingerprint: str) -> TrainingState:
        if self.folder is not None:
            state = load_checkpoint(self.folder, fingerprint, self.student, self.average, self.optimizer)
            if state is not None:
                load_best(self.folder, self.best)
                return state
        return TrainingState(fingerprint=fingerprint)

    def _run_epoch(self, deadline: Deadline, progress: Progress) -> _EpochSums:
        sums, batch_size = _EpochSums(), self.config.batch_size
        order = self.batches.epoch_order(self.state.epoch, self.steps_per_epoch * batch_size)
        for step in range(self.steps_per_epoch):
            if deadline.has_passed:
                break
            parts = self._step(order[step * batch_size : (step + 1) * batch_size], step, deadline)
            sums.add(parts)
            progress.advance(1, note=f"epoch {self.state.epoch + 1}, loss {sums.means()[0]:.2f}")
        return sums

    def _step(self, indices: list[int], step: int, deadline: Deadline) -> LossParts:
        state, config = self.state, self.config
        batch = self.batches.batch(indices, epoch=state.epoch, step=step)
        lr = learning_rate(self._fraction_done(deadline), config.max_lr)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        reference = None
        if config.distill_weight:
            with torch.no_grad():
                reference = self.start(batch.images)
        parts = self.batches.objective.loss(
            self.student(batch.images), batch.targets, reference=reference, distill_weight=config.distill_weight
        )
        loss = float(parts.total.detach())
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"loss is {loss} at epoch {state.epoch + 1}, step {step}, learning rate {lr:.2g}; "
                "the best weights so far are kept; lower max_lr"
            )
        self.optimizer.zero_grad(set_to_none=True)
        parts.total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([p for p in self.student.parameters() if p.requires_grad], _MAX_GRADIENT_NORM)
        self.optimizer.step()
        state.step += 1
        self._update_average()
        return parts

    def _fraction_done(self, deadline: Deadline) -> float:
        """Return how much of the schedule is over, by steps or by time, whichever is further."""
        by_steps = self.state.step / (self.config.n_epochs * self.steps_per_epoch)
        by_time = deadline.elapsed_s / deadline.budget_s if deadline.budget_s else 0.0
        return min(max(by_steps, by_time), 1.0)

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.ema_decay, (1 + self.state.step) / (10 + self.state.step))
        for averaged, current in zip(self.average.parameters(), self.student.parameters(), strict=True):
            averaged.lerp_(current.detach(), 1 - decay)

    def _finish_epoch(self, sums: _EpochSums, seconds: float) -> None:
        state = self.state
        val_ap = self.validate(self.average)
        state.seconds += seconds
        state.history.append(sums.record(state.epoch, val_ap, seconds))
        if val_ap > state.best_val_ap:
            state.best_val_ap, state.best_epoch = val_ap, state.epoch
            self.best.load_state_dict(self.average.state_dict())
        if self.folder is not None:
            if state.best_epoch == state.epoch:
                save_best(self.folder, self.best)
            save_checkpoint(self.folder, state, self.student, self.average, self.optimizer)

    def _result(self, stopped_by: str) -> TuningResult[Network]:
        state = self.state
        return TuningResult(
            self.best,
            self.layers,
            state.best_epoch,
            state.best_val_ap,
            tuple(state.history),
            stopped_by,
            self.n_parameters,
            state.seconds,
        )


def _steps_per_epoch(config: TrainingConfig, n_samples: int) -> int:
    whole = -(-n_samples // config.batch_size)
    return max(config.min_steps_per_epoch, min(whole, config.max_steps_per_epoch))


def _decay_groups(parameters: Sequence[nn.Parameter], weight_decay: float) -> list[dict[str, object]]:
    """Weights decay, biases do not."""
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
