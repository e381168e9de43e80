"""What is trained, for how many steps, and at which rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_autotuner.config import TrainingConfig
from edge_autotuner.config.training import ReplayConfig
from edge_autotuner.training import choose_layers, learning_rate
from edge_autotuner.training.schedule import epoch_order, epochs_worthwhile, repeat_factors, steps_per_epoch


def config(**changes: Any) -> TrainingConfig:
    return TrainingConfig.model_validate(changes)


@pytest.mark.parametrize(
    ("layers", "n_boxes", "chosen"),
    [("auto", 0, "box"), ("auto", 499, "box"), ("auto", 500, "all"), ("top", 5000, "top"), ("box", 5000, "box")],
)
def test_layers_follow_the_number_of_labels(layers: str, n_boxes: int, chosen: str) -> None:
    assert choose_layers(config(layers=layers, auto_all_from_boxes=500), n_boxes) == chosen


@pytest.mark.parametrize(
    ("n_pictures", "limits", "n_steps"),
    [(3, (1, 9), 2), (3, (4, 9), 4), (3, (1, 1), 1), (1, (1, 9), 1), (4, (1, 9), 2)],
    ids=["as many as needed", "at least", "at most", "one picture", "no rest"],
)
def test_steps_per_epoch(n_pictures: int, limits: tuple[int, int], n_steps: int) -> None:
    settings = config(batch_size=2, min_steps_per_epoch=limits[0], max_steps_per_epoch=limits[1])
    assert steps_per_epoch(settings, n_pictures) == n_steps


@pytest.mark.parametrize(
    ("fraction", "rate"),
    [(0, 1 / 25), (0.15, (1 + 1 / 25) / 2), (0.3, 1), (0.65, (1 + 1e-4) / 2), (1, 1e-4), (1.5, 1e-4)],
)
def test_the_learning_rate_is_one_cycle(fraction: float, rate: float) -> None:
    assert learning_rate(fraction, 2.0) == pytest.approx(2 * rate)


def test_pictures_of_rare_classes_are_repeated() -> None:
    pictures = [np.array([0, 0]) for _ in range(96)] + [np.array([0, 1]) for _ in range(4)]
    factors = repeat_factors([*pictures, np.zeros(0, np.int64)], 0.16)
    assert factors[:96].tolist() == [1.0] * 96, "the frequent class is shown as often as before"
    assert factors[96:100] == pytest.approx(np.sqrt(0.16 * 101 / 4))
    assert factors[100] == 1.0, "an empty picture comes once"
    order = epoch_order(["camera"] * 101, 400, replay=ReplayConfig(), rng=np.random.default_rng(0), repeats=factors)
    counts = np.bincount(order, minlength=101)
    assert len(order) == 400
    assert counts[:96].min() >= 3
    assert counts[96:100].mean() == pytest.approx(2 * counts[:96].mean(), rel=0.2)


def test_without_factors_the_order_is_the_one_of_earlier_versions() -> None:
    order = epoch_order(["camera"] * 5, 12, replay=ReplayConfig(), rng=np.random.default_rng(3))
    rng = np.random.default_rng(3)
    assert order == np.concatenate([rng.permutation(5) for _ in range(3)])[:12].tolist()


@pytest.mark.parametrize(
    ("start_ap", "n_epochs"),
    [(0.0, 8), (0.5, 8), (0.51, 8), (0.75, 4), (0.72, 5), (0.9, 3), (1.0, 3)],
)
def test_a_good_start_needs_fewer_epochs(start_ap: float, n_epochs: int) -> None:
    assert epochs_worthwhile(config(n_epochs=8, fewer_epochs_above=0.5), start_ap) == n_epochs


@pytest.mark.parametrize("n_epochs", [1, 2, 3])
def test_few_epochs_stay_as_they_are(n_epochs: int) -> None:
    assert epochs_worthwhile(config(n_epochs=n_epochs), 1.0) == n_epochs


def test_the_rule_can_be_turned_off() -> None:
    assert epochs_worthwhile(config(n_epochs=8, fewer_epochs_above=1), 1.0) == 8
