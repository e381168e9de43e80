"""What fits before a deadline, from what was measured."""

from __future__ import annotations

import pytest

from edge_autotuner.core import Deadline, FakeClock
from edge_autotuner.training.time_budget import TimeBudget


class Work:
    """Steps, validations and writes that take as long as they are told to."""

    def __init__(self, budget_s: float | None, *, steps_per_epoch: int = 4) -> None:
        self.clock = FakeClock(elapsed_s=7.0)  # a deadline counts from its own beginning
        self.budget = TimeBudget(Deadline(budget_s, self.clock), steps_per_epoch=steps_per_epoch)

    def step(self, seconds: float) -> None:
        with self.budget.step():
            self.clock.advance(seconds)

    def validate(self, seconds: float) -> None:
        with self.budget.validation():
            self.clock.advance(seconds)

    def write(self, seconds: float) -> None:
        with self.budget.write():
            self.clock.advance(seconds)


def test_without_a_deadline_everything_fits() -> None:
    work = Work(None)
    work.step(1e9)
    assert work.budget.allows_step
    assert not work.budget.is_limited
    assert work.budget.n_steps_to_come(17, 3) == 17


def test_the_longest_of_each_kind_is_reserved_with_a_margin() -> None:
    work = Work(1000)
    for seconds in (2.0, 4.0, 3.0):
        work.validate(seconds)
        work.write(seconds / 4)
    assert (work.budget.validation_s, work.budget.write_s) == (4.0, 1.0)
    assert work.budget.closing_s == 1.5 * (4.0 + 2 * 1.0)


def test_a_step_is_usually_as_long_as_the_median() -> None:
    work = Work(1000)
    for seconds in (9.0, 1.0, 1.25):
        work.step(seconds)
    assert work.budget.step_s == 1.25
    assert work.budget.epoch_s == 4 * 1.25


@pytest.mark.parametrize(("left_s", "is_allowed"), [(10.51, True), (10.5, False), (0.0, False)])
def test_a_step_begins_only_if_all_can_be_finished(left_s: float, is_allowed: bool) -> None:
    """A step of 1 s, a validation of 4 s and two writes of 1 s, each half as long again."""
    work = Work(100)
    work.step(1)
    work.validate(4)
    work.write(1)
    work.clock.advance(94 - left_s)
    assert work.budget.deadline.remaining_s == pytest.approx(left_s)
    assert work.budget.allows_step == is_allowed


def test_what_an_earlier_part_has_measured_counts() -> None:
    budget = TimeBudget(Deadline(9.5, FakeClock()), steps_per_epoch=2, validation_s=5.0, write_s=1.0)
    assert not budget.allows_step


def steps_made(work: Work, n_wanted: int, n_to_validation: int, times: tuple[float, float, float]) -> int:
    """Train with constant times until there is no time left; return the number of steps."""
    step_s, validation_s, write_s = times
    n = 0
    while n < n_wanted and work.budget.allows_step:
        work.step(step_s)
        n += 1
        if (n - n_to_validation) % 4 == 0 and n >= n_to_validation:
            work.validate(validation_s)
            work.write(write_s)
    return n


@pytest.mark.parametrize("times", [(1.0, 2.0, 0.25), (0.25, 0.0, 0.0), (0.5, 8.0, 1.0)])
@pytest.mark.parametrize("left_s", [0.3, 5.1, 9.9, 14.2, 18.7, 23.3, 40.6, 77.9])
@pytest.mark.parametrize("n_to_validation", [1, 4])
def test_the_prediction_is_what_happens(n_to_validation: int, left_s: float, times: tuple[float, float, float]) -> None:
    work = Work(sum(times) + left_s)
    for act, seconds in zip((work.step, work.validate, work.write), times, strict=True):
        act(seconds)
    predicted = work.budget.n_steps_to_come(1000, n_to_validation)
    assert work.budget.n_steps_to_come(3, n_to_validation) == min(predicted, 3)
    assert predicted == max(steps_made(work, 1000, n_to_validation, times), 1)


def test_nothing_is_predicted_before_the_first_step() -> None:
    assert Work(10).budget.n_steps_to_come(50, 4) == 50
