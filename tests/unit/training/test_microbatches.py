"""Parts of a batch, computed at the same time."""

from __future__ import annotations

import threading

import pytest
import torch

from edge_autotuner.config import AugmentationConfig, TrainingConfig
from edge_autotuner.models.torch_detector import cpu_threads
from edge_autotuner.training import BatchMaker
from edge_autotuner.training.feature_cache import RecomputedFeatures
from edge_autotuner.training.learner import Learner
from edge_autotuner.training.microbatches import MICROBATCH_SIZE, MicrobatchWorkers, split_batch
from support.cameras.coloured_scene import coloured_sample, fresh_network

N_PICTURES = 2 * MICROBATCH_SIZE + 1


def gradients_with(n_threads: int, layers: str, **settings: object) -> tuple[float, list[torch.Tensor | None]]:
    """Return the loss and the gradients of one batch, of two microbatches and a picture."""
    config = TrainingConfig.model_validate({"layers": layers, **settings})
    samples = [coloured_sample(seed, (32, 32), n_objects=1) for seed in range(N_PICTURES)]
    with cpu_threads(1), MicrobatchWorkers(n_threads, batch_size=N_PICTURES) as workers:
        learner = Learner(fresh_network(), layers, config, workers=workers)
        batches = BatchMaker(samples, (32, 32), network=learner.student, augmentation=AugmentationConfig(), seed=0)
        source = RecomputedFeatures(learner.student, batches, layers, workers)
        with learner.computing():
            batch = source.batch(range(N_PICTURES), epoch=0, step=0)
        loss = float(learner.find_gradients(batch, batches.objective).total.detach())
    return loss, [parameter.grad for parameter in learner.student.parameters()]


@pytest.mark.parametrize("layers", ["box", "all"])
@pytest.mark.parametrize("settings", [{}, {"distill_weight": 1.0}, {"precision": "bfloat16"}], ids=str)
def test_any_number_of_cores_gives_the_same_bits(layers: str, settings: dict[str, object]) -> None:
    loss, gradients = gradients_with(1, layers, **settings)
    for n_threads in (2, 3):
        other_loss, others = gradients_with(n_threads, layers, **settings)
        assert other_loss == loss
        for a, b in zip(gradients, others, strict=True):
            assert (a is None) == (b is None)
            assert a is None or b is None or torch.equal(a, b)


def test_parts_have_the_gradients_of_the_whole_batch() -> None:
    """Against torch's own way back through all pictures together."""
    config = TrainingConfig(layers="all", precision="float32")
    samples = [coloured_sample(seed, (32, 32), n_objects=1) for seed in range(N_PICTURES)]
    learner = Learner(fresh_network(), "all", config)
    batches = BatchMaker(samples, (32, 32), network=learner.student, augmentation=AugmentationConfig(), seed=0)
    batch = RecomputedFeatures(learner.student, batches, "all").batch(range(N_PICTURES), epoch=0, step=0)
    learner.find_gradients(batch, batches.objective)
    whole = fresh_network()
    outputs = whole.outputs_of(batch.features, "all")
    batches.objective.loss(outputs, batch.targets, reference=None, distill_weight=0.0).total.backward()
    for ours, theirs in zip(learner.student.parameters(), whole.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)


def test_workers_compute_as_the_thread_that_asks() -> None:
    with MicrobatchWorkers(2, batch_size=2 * MICROBATCH_SIZE) as workers:

        def state(_: int) -> tuple[bool, bool, bool]:
            is_other = threading.current_thread() is not threading.main_thread()
            return is_other, torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")

        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            assert workers.map(state, [0, 1]) == [(True, False, True)] * 2
        assert workers.map(state, [0, 1]) == [(True, True, False)] * 2


def test_cores_beyond_the_parts_help_inside_them() -> None:
    before = torch.get_num_threads()
    with MicrobatchWorkers(5, batch_size=2 * MICROBATCH_SIZE) as workers:
        assert workers.map(lambda _: torch.get_num_threads(), [0, 1]) == [2, 2]
    assert torch.get_num_threads() == before


def test_an_error_in_a_part_comes_when_all_parts_are_over() -> None:
    over = []

    def compute(part: int) -> None:
        if part == 0:
            raise ValueError("part 0")
        over.append(part)

    with MicrobatchWorkers(2, batch_size=2 * MICROBATCH_SIZE) as workers, pytest.raises(ValueError, match="part 0"):
        workers.map(compute, [0, 1, 2])
    assert over == [1, 2]


def test_no_thread_is_refused() -> None:
    with pytest.raises(ValueError, match="n_threads must be at least 1, got 0"):
        MicrobatchWorkers(0)


def test_features_are_cut_along_the_pictures() -> None:
    n = MICROBATCH_SIZE
    maps = torch.arange(2.0 * n + 1)[:, None], torch.arange(4.0 * n + 2).reshape(-1, 2)
    parts = split_batch(maps, is_cut=True)
    assert [[len(level) for level in part] for part in parts] == [[n, n], [n, n], [1, 1]]
    for whole, levels in zip(maps, zip(*parts, strict=True), strict=True):
        assert torch.equal(torch.cat(levels), whole)
    assert split_batch(maps, is_cut=False) == [maps]
