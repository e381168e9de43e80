"""The networks of a training, and one step of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from edge_autotuner.config import AugmentationConfig, TrainingConfig
from edge_autotuner.training import BatchMaker
from edge_autotuner.training.feature_cache import FeatureBatch, RecomputedFeatures
from edge_autotuner.training.learner import Learner
from support.cameras.coloured_scene import coloured_sample, fresh_network


def learner(layers: str = "box", **settings: Any) -> Learner:
    return Learner(fresh_network(), layers, TrainingConfig.model_validate({"layers": layers, **settings}))


def batch_for(trained: Learner) -> tuple[FeatureBatch, BatchMaker]:
    samples = [coloured_sample(seed, (32, 32), n_objects=1) for seed in range(2)]
    batches = BatchMaker(samples, (32, 32), network=trained.student, augmentation=AugmentationConfig(), seed=0)
    return RecomputedFeatures(trained.student, batches, trained.layers).batch([0, 1], epoch=0, step=0), batches


def weights_of(network: torch.nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in network.parameters()]


def test_looking_for_gradients_changes_no_weight() -> None:
    trained = learner()
    before = weights_of(trained.student)
    batch, batches = batch_for(trained)
    trained.find_gradients(batch, batches.objective)
    assert all(torch.equal(a, b) for a, b in zip(before, weights_of(trained.student), strict=True))
    has_gradient = [p.grad is not None for p in trained.student.parameters()]
    assert any(has_gradient)
    assert not all(has_gradient), "the backbone is frozen"


def test_the_average_follows_fast_at_first_and_then_as_told() -> None:
    """After one step, 2 / 11 of the start are left; after many, the share of the settings."""
    for n_before, kept in ((0, 2 / 11), (10_000, 0.9)):
        trained = learner("all", ema_decay=0.9)
        start = weights_of(trained.average)
        batch, batches = batch_for(trained)
        trained.step(batch, batches.objective, 1e-3, n_before)
        rows = zip(start, weights_of(trained.student), weights_of(trained.average), strict=True)
        for old, new, average in rows:
            torch.testing.assert_close(average, kept * old + (1 - kept) * new, rtol=1e-4, atol=1e-6)


def test_a_candidate_keeps_its_share_of_the_start() -> None:
    trained = learner("all", keep_start=0.25, ema_decay=0.0)
    start = weights_of(trained.average)
    batch, batches = batch_for(trained)
    trained.step(batch, batches.objective, 1e-2, 0)
    rows = zip(start, weights_of(trained.average), weights_of(trained.candidate()), strict=True)
    for old, average, candidate in rows:
        torch.testing.assert_close(candidate, 0.25 * old + 0.75 * average, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layers", ["box", "top", "all"])
def test_the_start_is_asked_with_the_same_features(layers: str) -> None:
    """Before the first step, student and start agree: distillation costs its least, the entropy of what they say."""
    trained = learner(layers, distill_weight=1.0, precision="float32")
    batch, batches = batch_for(trained)
    parts = trained.find_gradients(batch, batches.objective)
    with torch.no_grad():
        outputs = fresh_network().outputs_of(batch.features, layers)
    expected = batches.objective.loss(outputs, batch.targets, reference=outputs, distill_weight=1.0)
    assert float(parts.distillation.detach()) == pytest.approx(float(expected.distillation), rel=1e-4)
    assert float(expected.distillation) > 0


def test_no_start_is_kept_in_memory_without_distillation() -> None:
    trained = learner()
    batch, _ = batch_for(trained)
    assert trained._reference is None
    assert trained._reference_outputs(batch.features) is None
