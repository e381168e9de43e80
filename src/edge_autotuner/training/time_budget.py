"""Measures durations, and decides what still fits before a deadline.

A training starts only what it can finish: a step, the validation after it, and writing a checkpoint. The longest
durations so far, with a margin, are reserved.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from edge_autotuner.core.clock import Deadline

_MARGIN = 1.5  # occasional slow-down by other work on the machine
_N_WRITES = 2  # the checkpoint, and the weights that the caller saves
_N_RECENT_STEPS = 21


class ValidationCut(Exception):
    """A validation stopped before the deadline; raised by the scoring function, caught by the training.

    Attributes:
        share_done: of the frames, in [0, 1].
    """

    def __init__(self, share_done: float) -> None:
        super().__init__(f"the deadline came after {share_done:.0%} of the validation frames")
        self.share_done = share_done


class TimeBudget:
    """Measured durations of a training.

    Attributes:
        deadline: of the training.
        validation_s: longest validation so far, seconds; 0 before the first.
        write_s: longest write of a checkpoint so far, seconds.
    """

    def __init__(
        self, deadline: Deadline, *, steps_per_epoch: int, validation_s: float = 0.0, write_s: float = 0.0
    ) -> None:
        """Start with measurements from an earlier run of the same training."""
        self.deadline = deadline
        self.validation_s, self.write_s = validation_s, write_s
        self._steps_per_epoch = steps_per_epoch
        self._recent_steps_s: deque[float] = deque(maxlen=_N_RECENT_STEPS)
        self._longest_step_s = 0.0

    @property
    def is_limited(self) -> bool:
        """Whether there is a deadline."""
        return self.deadline.budget_s is not None

    @property
    def step_s(self) -> float:
        """Usual seconds per step; 0 before the first."""
        return statistics.median(self._recent_steps_s) if self._recent_steps_s else 0.0

    @property
    def epoch_s(self) -> float:
        """Seconds per epoch, including validation and checkpoint."""
        return self._steps_per_epoch * self.step_s + self._pause_s

    @property
    def _pause_s(self) -> float:
        """Seconds between two epochs."""
        return self.validation_s + self.write_s

    @property
    def closing_s(self) -> float:
        """Seconds to reserve after the last step."""
        return _MARGIN * (self.validation_s + _N_WRITES * self.write_s)

    @property
    def allows_step(self) -> bool:
        """Whether a step, and everything that must follow it, fits before the deadline."""
        return not self.is_limited or self.deadline.remaining_s > self.closing_s + _MARGIN * self._longest_step_s

    @contextmanager
    def step(self) -> Iterator[None]:
        """Measure a step."""
        began_s = self.deadline.elapsed_s
        yield
        seconds = self.deadline.elapsed_s - began_s
        self._recent_steps_s.append(seconds)
        self._longest_step_s = max(self._longest_step_s, seconds)

    @contextmanager
    def validation(self) -> Iterator[None]:
        """Measure a validation."""
        began_s = self.deadline.elapsed_s
        yield
        self.validation_s = max(self.validation_s, self.deadline.elapsed_s - began_s)

    @contextmanager
    def write(self) -> Iterator[None]:
        """Measure the writing of a checkpoint."""
        began_s = self.deadline.elapsed_s
        yield
        self.write_s = max(self.write_s, self.deadline.elapsed_s - began_s)

    def n_steps_to_come(self, n_wanted: int, n_to_validation: int) -> int:
        """Predict the number of remaining steps.

        Args:
            n_wanted: remaining steps without a deadline, at least 1.
            n_to_validation: those before the next validation.

        Returns:
            At least 1, at most `n_wanted`.
        """
        if not self.is_limited or self.step_s == 0:
            return n_wanted
        last_start_s = self.deadline.remaining_s - self.closing_s - _MARGIN * self._longest_step_s
        if last_start_s <= 0:
            return 1
        after_validation_s = last_start_s - n_to_validation * self.step_s
        if after_validation_s <= 0:
            return min(math.ceil(last_start_s / self.step_s), n_wanted)
        n_epochs, rest_s = divmod(after_validation_s, self.epoch_s)
        in_last = math.ceil(max(0.0, rest_s - self._pause_s) / self.step_s)
        return min(n_to_validation + int(n_epochs) * self._steps_per_epoch + in_last, n_wanted)
