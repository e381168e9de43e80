"""A training with a deadline returns before it, uses the time, anneals its rate, and can be continued."""

from __future__ import annotations

import logging
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_autotuner.config import TrainingConfig
from edge_autotuner.core import Deadline, FakeClock
from edge_autotuner.errors import TrainingError
from edge_autotuner.training import TuningResult, ValidationCut, learning_rate, tune
from edge_autotuner.training.learner import Learner
from support.cameras.coloured_scene import coloured_sample, fresh_network

LOOP = import_module("edge_autotuner.training.tune")  # the package has a function of this name
SAMPLES = [coloured_sample(seed, (32, 32), n_objects=1) for seed in range(2)]
STEP_S, VALIDATION_S, WRITE_S = 1.0, 2.0, 0.25


class SlowWorld:
    """A fake clock that steps, validations and writes move, each by its time and a random bit more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, jitter: float = 0.0) -> None:
        self.clock = FakeClock(elapsed_s=50)
        self.rates: list[float] = []
        self._jitter, self._rng = jitter, np.random.default_rng(0)
        find, learn, save = Learner.find_gradients, Learner.step, LOOP.save_checkpoint

        def find_slowly(*given: Any) -> Any:
            self.spend(STEP_S)
            return find(*given)

        def learn_at(learner: Any, batch: Any, objective: Any, lr: float, n_before: int) -> Any:
            self.rates.append(lr)
            return learn(learner, batch, objective, lr, n_before)

        def save_slowly(*given: Any) -> None:
            self.spend(WRITE_S)
            save(*given)

        monkeypatch.setattr(Learner, "find_gradients", find_slowly)
        monkeypatch.setattr(Learner, "step", learn_at)
        monkeypatch.setattr(LOOP, "save_checkpoint", save_slowly)

    def spend(self, seconds: float) -> None:
        self.clock.advance(seconds * (1 + self._jitter * self._rng.random()))

    def train(
        self, folder: Path, budget_s: float | None, *, n_epochs: int = 50, cut_at: int | None = None
    ) -> TuningResult:
        """Train with epochs of three steps; each validation is better than the one before."""
        answers = count(1)

        def validate(_: object) -> float:
            answer = next(answers)
            self.spend(VALIDATION_S)
            if answer == cut_at:
                raise ValidationCut(0.5)
            return answer / 1000

        settings = {"layers": "box", "n_epochs": n_epochs, "batch_size": 1, "n_threads": 1, "patience_epochs": 99}
        return tune(
            fresh_network(),
            SAMPLES,
            TrainingConfig.model_validate(settings | {"min_steps_per_epoch": 3, "max_steps_per_epoch": 3}),
            input_size_wh=(32, 32),
            validate=validate,
            folder=folder,
            fingerprint="a",
            deadline=Deadline(budget_s, self.clock),
        )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> SlowWorld:
    return SlowWorld(monkeypatch)


@pytest.mark.parametrize("budget_s", [10.5, 13.3, 29.5])
@pytest.mark.parametrize("jitter", [0.0, 0.4])
def test_the_deadline_is_never_missed_and_the_time_is_used(
    jitter: float, budget_s: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = SlowWorld(monkeypatch, jitter=jitter)
    result = world.train(tmp_path, budget_s)
    left_s = budget_s - (world.clock.elapsed_s - 50)
    assert result.stopped_by == "deadline"
    assert 0 <= left_s < 1.5 * 1.4 * (STEP_S + VALIDATION_S + 3 * WRITE_S) + STEP_S
    assert result.n_steps == len(world.rates) >= 1
    assert result.best_epoch == len(result.history) - 1 >= 1, "what was learnt last is validated"


def test_the_rate_comes_to_its_end_with_the_deadline(world: SlowWorld, tmp_path: Path) -> None:
    """Of 150 wanted steps there is time for some 25; by steps alone, the rate would still rise."""
    result = world.train(tmp_path, 60.0)
    rates = world.rates
    top = rates.index(max(rates))
    assert 15 < result.n_steps < 50
    assert result.n_steps_wanted == 150
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert max(rates) > 0.9e-3
    assert rates[-1] < 0.05e-3


def test_without_a_deadline_the_rate_follows_the_steps(world: SlowWorld, tmp_path: Path) -> None:
    result = world.train(tmp_path, None, n_epochs=2)
    assert (result.stopped_by, result.n_steps, result.n_steps_wanted) == ("epochs", 6, 6)
    assert world.rates == [pytest.approx(learning_rate(k / 6, 1e-3)) for k in range(6)]
    assert world.clock.elapsed_s == 50 + 6 * STEP_S + 3 * (VALIDATION_S + WRITE_S), "no step was made only to measure"


def test_a_generous_deadline_changes_nothing_but_a_measured_step(world: SlowWorld, tmp_path: Path) -> None:
    assert world.train(tmp_path, 1000.0, n_epochs=2).stopped_by == "epochs"
    assert world.rates == [pytest.approx(learning_rate(k / 6, 1e-3)) for k in range(6)]


def test_a_part_of_an_epoch_is_better_than_nothing(
    world: SlowWorld, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = world.train(tmp_path, 9.0)
    assert 1 <= result.n_steps < 3
    assert (result.best_epoch, len(result.history)) == (1, 2)
    (record,) = [record for record in caplog.records if "deadline" in record.getMessage()]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "deadline reached after 0.3 of 50 epochs; an epoch takes about 5.2 s on this machine"


@pytest.mark.parametrize("budget_s", [0.001, 2.0, 7.0])
def test_a_deadline_that_allows_no_step(budget_s: float, world: SlowWorld, tmp_path: Path) -> None:
    """A step to measure, a validation and a checkpoint take 3.25 s; the next ones need 4.75 s and a margin."""
    expected = (
        rf"{budget_s:g} s are too short to learn anything: on this machine, a step takes 1 s, a validation 2 s, "
        r"an epoch of 3 steps 5.2 s; give the training at least 13 s"
    )
    with pytest.raises(TrainingError, match=expected):
        world.train(tmp_path, budget_s)
    result = world.train(tmp_path / "again", 13.0)
    assert result.n_steps >= 3, "what the message says is enough for an epoch"


def test_a_deadline_in_the_first_validation(world: SlowWorld, tmp_path: Path) -> None:
    """Half of the frames took 2 s."""
    with pytest.raises(
        TrainingError, match=r"a step takes 1 s, a validation 4 s, an epoch of 3 steps 7 s; .* at least 18 s"
    ):
        world.train(tmp_path, 3.0, cut_at=1)


def test_a_validation_that_the_deadline_cuts_keeps_the_best_before(world: SlowWorld, tmp_path: Path) -> None:
    result = world.train(tmp_path, 100.0, cut_at=4)
    assert (result.stopped_by, result.best_epoch, len(result.history)) == ("deadline", 2, 3)


def test_more_time_makes_the_steps_that_were_left(world: SlowWorld, tmp_path: Path) -> None:
    first = world.train(tmp_path, 13.0, n_epochs=4)
    assert 0 < first.n_steps < 12
    more = world.train(tmp_path, 12.0, n_epochs=4)
    assert first.n_steps < more.n_steps < 12
    last = world.train(tmp_path, None, n_epochs=4)
    assert (last.n_steps, last.stopped_by) == (12, "epochs")
    assert last.history[: len(more.history)] == more.history
    assert len(world.rates) == 12


def test_too_little_time_for_more_keeps_what_is_there(world: SlowWorld, tmp_path: Path) -> None:
    first = world.train(tmp_path, 13.0)
    again = world.train(tmp_path, 1.0)
    assert (again.stopped_by, again.n_steps, again.best_epoch) == ("deadline", first.n_steps, first.best_epoch)


def test_the_deadline_of_the_settings_counts_too() -> None:
    settings = TrainingConfig(layers="box", n_threads=1, batch_size=1, deadline_s=1e-6)
    with pytest.raises(TrainingError, match="too short to learn anything"):
        tune(fresh_network(), SAMPLES, settings, input_size_wh=(32, 32), validate=lambda _: 0.5)
