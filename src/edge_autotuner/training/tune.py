"""Fine-tunes a student on a teacher's labels.

The averaged weights are validated after each epoch on the last part of the training period; the best ones are
returned. The starting weights take part in that choice as epoch 0, so tuning never returns something that
validates worse than what it was given.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch

from edge_autotuner.config import TrainingConfig
from edge_autotuner.core.clock import Deadline
from edge_autotuner.core.progress import NoProgress, Progress
from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import DeadlineTooShort, TrainingDiverged, TrainingError
from edge_autotuner.models.torch_detector import cpu_threads
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.training.checkpoints import TrainingState, load_checkpoint, save_checkpoint
from edge_autotuner.training.device import choose_device, return_free_memory
from edge_autotuner.training.feature_cache import FeatureBatch, FeatureSource, RecomputedFeatures, open_feature_source
from edge_autotuner.training.feature_files import remove_cache_files
from edge_autotuner.training.learner import Learner
from edge_autotuner.training.learning_curve import EpochRecord, EpochSums
from edge_autotuner.training.microbatches import MicrobatchWorkers, prefetch
from edge_autotuner.training.pictures import BatchMaker
from edge_autotuner.training.samples import TrainingSample
from edge_autotuner.training.schedule import (
    WARMUP_FRACTION,
    choose_layers,
    learning_rate,
    pictures_per_epoch,
    steps_per_epoch,
)
from edge_autotuner.training.time_budget import TimeBudget, ValidationCut

logger = logging.getLogger(__name__)

Network = TypeVar("Network", bound=TrainableNetwork)

Validate = Callable[[Network], float]
"""Returns the AP50:95, in [0, 1], of a network on the validation frames; it may raise `ValidationCut`."""


@dataclass(frozen=True)
class TuningResult(Generic[Network]):
    """The result of a training.

    Attributes:
        network: the best averaged weights, on the CPU.
        layers: "box", "top" or "all".
        best_epoch: 0 for the starting weights, else counted from 1; see `tune` for -1.
        best_val_ap: AP50:95 of the best weights on the validation frames.
        history: one record per epoch; the record of epoch 0 holds the starting weights' validation.
        stopped_by: "epochs", "patience" or "deadline".
        n_parameters: trained parameters.
        n_steps: steps made.
        n_steps_wanted: steps planned.
        seconds: training time, including earlier interrupted runs.
    """

    network: Network
    layers: str
    best_epoch: int
    best_val_ap: float
    history: tuple[EpochRecord, ...]
    stopped_by: str
    n_parameters: int
    n_steps: int
    n_steps_wanted: int
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
    previous: Network | None = None,
    may_keep_start: bool = True,
) -> TuningResult[Network]:
    """Train a copy of a network.

    With a deadline, the durations of steps, validations and checkpoints are measured and reserved, so that the training
    ends in time, and its learning rate cycle with it. The same call with more time continues a training that a deadline
    stopped.

    Args:
        network: the starting weights, on the CPU; left unchanged.
        samples: training pictures with labels.
        config: training settings.
        input_size_wh: the network's input at run time, pixels.
        validate: scores a network on the device of the training; higher is better.
        folder: for checkpoints; None: no checkpoints, and no resuming.
        fingerprint: of data and settings; checkpoints with another fingerprint are ignored.
        deadline: when this must have returned; default: from the settings.
        progress: told of every step.
        previous: the model to remember: distillation follows it, and `keep_start` keeps a share of its weights;
            default: the starting weights.
        may_keep_start: whether the starting weights compete with the trained ones. They must not where they helped to
            label the validation frames; the best epoch is then -1 if no epoch was validated.

    Raises:
        TrainingError: there is nothing to train on.
        DeadlineTooShort: the deadline allows no step.
        TrainingDiverged: the loss became NaN or infinite.
        ConfigError: the device of the settings is not there.
    """
    if not any(len(sample.boxes_xyxy) for sample in samples):
        raise TrainingError("no labelled object in the training frames; lower annotation.min_score, or capture more")
    deadline = deadline or Deadline(config.deadline_s)
    n_threads = config.n_threads or torch.get_num_threads()
    on_cpu = choose_device(config.device).type == "cpu"
    with (
        cpu_threads(1 if on_cpu else n_threads),  # sums depend on the number of threads
        MicrobatchWorkers(n_threads if on_cpu else 1, batch_size=config.batch_size) as workers,
    ):
        run = _Training(
            network,
            samples,
            config,
            input_size_wh=input_size_wh,
            validate=validate,
            folder=folder,
            fingerprint=fingerprint,
            deadline=deadline,
            previous=previous or network,
            may_keep_start=may_keep_start,
            workers=workers,
        )
        result = run.to_the_end(progress or NoProgress())
    del run
    return_free_memory()
    return result


class _Training(Generic[Network]):
    """The state of one call of `tune`."""

    def __init__(
        self,
        start: Network,
        samples: Sequence[TrainingSample],
        config: TrainingConfig,
        *,
        input_size_wh: SizeWH,
        validate: Validate[Network],
        folder: Path | None,
        fingerprint: str,
        deadline: Deadline,
        previous: Network,
        may_keep_start: bool,
        workers: MicrobatchWorkers,
    ) -> None:
        self.config, self.validate, self.folder = config, validate, folder
        self.may_keep_start, self.workers = may_keep_start, workers
        layers = choose_layers(config, sum(len(sample.boxes_xyxy) for sample in samples))
        self.learner = Learner(start, layers, config, previous=previous, workers=workers)
        self.best: Network = copy.deepcopy(start).eval()
        self.batches = BatchMaker(
            samples,
            input_size_wh,
            network=self.learner.student,
            augmentation=config.augmentation,
            seed=config.seed,
            replay=config.replay,
            n_epochs=config.n_epochs,
            repeat_rare=config.repeat_rare,
        )
        self.n_samples = len(samples)
        n_pictures = pictures_per_epoch([sample.origin for sample in samples], config.replay.share)
        self.n_per_epoch = steps_per_epoch(config, n_pictures)
        self.n_steps = config.n_epochs * self.n_per_epoch
        self.state = self._resumed(fingerprint)
        self.budget = TimeBudget(
            deadline,
            steps_per_epoch=self.n_per_epoch,
            validation_s=self.state.validation_s,
            write_s=self.state.write_s,
        )
        self.fraction_done = 0.0

    def to_the_end(self, progress: Progress) -> TuningResult[Network]:
        progress.start("training", self.n_steps)
        progress.advance(self.state.step)
        if self.state.step == 0:
            self._begin()
        stopped_by = self._reason_to_stop()
        if stopped_by is None:
            with self._features(progress) as source:
                stopped_by = self._train(source, progress)
        elif self.folder is not None:
            remove_cache_files(self.folder)  # of a process that was killed after its last checkpoint
        progress.finish()
        if stopped_by == "deadline":
            self._say_how_far()
        return self._result(stopped_by)

    def _begin(self) -> None:
        """Validate the starting weights, and check that there is time for a step."""
        if self.budget.is_limited:
            self._rehearse()
        if not self.state.history:
            began_s = self.budget.deadline.elapsed_s
            try:
                self._finish_epoch(EpochSums(), 0.0)
            except ValidationCut as exc:
                spent_s = self.budget.deadline.elapsed_s - began_s
                self.budget.validation_s = spent_s / max(exc.share_done, 1e-3)
                raise self._too_short(missing_s=self.budget.validation_s - spent_s) from exc
        if not self.budget.allows_step:
            raise self._too_short()

    def _rehearse(self) -> None:
        """Time a step that changes no weights."""
        indices = self.batches.epoch_order(0, self.config.batch_size)
        source = RecomputedFeatures(self.learner.student, self.batches, self.learner.layers, self.workers)
        with self.budget.step(), suppress(TrainingDiverged):  # the first real step reports it
            self.learner.find_gradients(self._batch(source, indices, 0), self.batches.objective)

    def _train(self, source: FeatureSource, progress: Progress) -> str:
        """Train epoch by epoch; return what stopped it."""
        while (reason := self._reason_to_stop()) is None:
            began_s = self.budget.deadline.elapsed_s
            sums = self._run_epoch(source, progress)
            if sums.n_steps == 0:
                return "deadline"
            self.state.epoch += 1
            try:
                self._finish_epoch(sums, self.budget.deadline.elapsed_s - began_s)
            except ValidationCut:
                logger.warning("validation took longer than expected; epoch %d is lost", self.state.epoch)
                return "deadline"
        return reason

    def _reason_to_stop(self) -> str | None:
        if self.state.step >= self.n_steps:
            return "epochs"
        if self._is_out_of_patience():
            return "patience"
        return None if self.budget.allows_step else "deadline"

    def _is_out_of_patience(self) -> bool:
        """Whether validation stagnates; it may fall during the warm-up of the learning rate."""
        warmed_up = math.ceil(WARMUP_FRACTION * self.config.n_epochs)
        return self.state.epoch - max(self.state.best_epoch, warmed_up) >= self.config.patience_epochs

    def _run_epoch(self, source: FeatureSource, progress: Progress) -> EpochSums:
        """Run the steps of an epoch that the deadline allows."""
        sums, size = EpochSums(), self.config.batch_size
        order = self.batches.epoch_order(self.state.epoch, self.n_per_epoch * size)
        n_planned = min(self.n_per_epoch, self.n_steps - self.state.step)
        steps = range(n_planned)
        has_thread = self.workers.n_threads > 1
        with prefetch(
            steps, lambda i: self._batch(source, order[i * size : (i + 1) * size], i), has_thread=has_thread
        ) as batches:
            for i in steps:
                if not self.budget.allows_step:
                    break
                with self.budget.step():
                    lr = self._learning_rate(n_to_validation=n_planned - i)
                    with self._located(i, lr):
                        sums.add(self.learner.step(next(batches), self.batches.objective, lr, self.state.step))
                    self.state.step += 1
                    progress.advance(1, note=f"epoch {self.state.epoch + 1}, loss {sums.means()[0]:.2f}")
        return sums

    def _batch(self, source: FeatureSource, indices: Sequence[int], step: int) -> FeatureBatch:
        with self.learner.computing():
            return source.batch(indices, epoch=self.state.epoch, step=step)

    def _learning_rate(self, *, n_to_validation: int) -> float:
        """Return the rate of the next step: the cycle ends with the last step before the deadline."""
        done = self.state.step
        n_to_come = self.budget.n_steps_to_come(self.n_steps - done, n_to_validation)
        self.fraction_done = max(self.fraction_done, done / (done + n_to_come))
        return learning_rate(self.fraction_done, self.config.max_lr)

    @contextmanager
    def _located(self, step: int, lr: float) -> Iterator[None]:
        """Add epoch, step and learning rate to a divergence error."""
        try:
            yield
        except TrainingDiverged as exc:
            raise TrainingDiverged(
                f"{exc} at epoch {self.state.epoch + 1}, step {step}, learning rate {lr:.2g}; the best weights so far "
                "are kept; lower training.max_lr"
            ) from exc

    def _finish_epoch(self, sums: EpochSums, seconds: float) -> None:
        """Validate the averaged weights, and save a checkpoint.

        Raises:
            ValidationCut: the deadline passed; nothing is saved.
        """
        state, candidate = self.state, self.learner.candidate()
        with self.budget.validation():
            val_ap = self.validate(candidate)
        state.seconds += seconds
        state.history.append(sums.record(state.epoch, val_ap, seconds))
        if val_ap > state.best_val_ap and (state.epoch > 0 or self.may_keep_start):
            state.best_val_ap, state.best_epoch = val_ap, state.epoch
            self.best.load_state_dict(candidate.state_dict())
        state.validation_s, state.write_s = self.budget.validation_s, self.budget.write_s
        if self.folder is not None:
            with self.budget.write():
                save_checkpoint(self.folder, state, self._networks, self.learner.optimizer)

    @property
    def _networks(self) -> dict[str, TrainableNetwork]:
        return {"student": self.learner.student, "average": self.learner.average, "best": self.best}

    def _resumed(self, fingerprint: str) -> TrainingState:
        if self.folder is not None:
            state = load_checkpoint(self.folder, fingerprint, self._networks, self.learner.optimizer)
            if state is not None:
                return state
        return TrainingState(fingerprint=fingerprint)

    def _features(self, progress: Progress) -> FeatureSource:
        with self.learner.computing():
            return open_feature_source(
                self.learner.student,
                self.batches,
                self.learner.layers,
                n_samples=self.n_samples,
                config=self.config.features,
                folder=self.folder,
                fingerprint=self.state.fingerprint,
                deadline=self.budget.deadline,
                progress=progress,
                workers=self.workers,
            )

    def _too_short(self, *, missing_s: float = 0.0) -> TrainingError:
        """Return an error that says how long things take here; `missing_s` would have ended the first validation."""
        budget, deadline = self.budget, self.budget.deadline
        needed_s = deadline.elapsed_s + missing_s + budget.epoch_s + budget.closing_s
        return DeadlineTooShort(
            f"{deadline.budget_s:.3g} s are too short to learn anything: on this machine, a step takes "
            f"{budget.step_s:.2g} s, a validation {budget.validation_s:.2g} s, an epoch of {self.n_per_epoch} steps "
            f"{budget.epoch_s:.2g} s; give the training at least {math.ceil(needed_s)} s"
        )

    def _say_how_far(self) -> None:
        done, budget = self.state.step, self.budget
        epochs = f"{done / self.n_per_epoch:.1f} of {self.config.n_epochs} epochs"
        logger.log(
            logging.WARNING if done < self.n_per_epoch else logging.INFO,
            "deadline reached after %s; an epoch takes about %.1f s on this machine",
            epochs,
            budget.epoch_s,
        )

    def _result(self, stopped_by: str) -> TuningResult[Network]:
        state = self.state
        return TuningResult(
            self.best,
            self.learner.layers,
            state.best_epoch,
            state.best_val_ap,
            tuple(state.history),
            stopped_by,
            self.learner.n_parameters,
            state.step,
            self.n_steps,
            state.seconds,
        )
