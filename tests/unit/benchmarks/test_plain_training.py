"""The plain way to train, which ours is timed against, does the same work."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.specialization.bound import BLOCK, N_SCORED, N_TRAINED, is_trained_on
from benchmarks.specialization.plain import PlainTraining, plain_assign, plain_loss
from edge_autotuner.models.yolox import CellGrid, Yolox, decode_boxes
from edge_autotuner.training import Target, TrainingSample, assign, detection_loss

SIDE = 64


def _target(rng: np.random.Generator, n_objects: int, n_cells: int) -> Target:
    corners = rng.uniform(-10, SIDE - 8, (n_objects, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(6, 30, (n_objects, 2))], axis=1).astype(np.float32)
    return Target(
        torch.from_numpy(boxes),
        torch.from_numpy(rng.integers(0, 3, n_objects)),
        torch.from_numpy(rng.random(n_cells) < 0.7),
    )


@pytest.mark.parametrize("n_objects", [0, 1, 7], ids=["none", "one", "several"])
def test_same_assignment_and_same_loss_as_ours(n_objects: int) -> None:
    rng, grid = np.random.default_rng(n_objects), CellGrid.of_input(SIDE, SIDE)
    logits = torch.from_numpy(rng.normal(0, 1, (2, len(grid.strides), 8)).astype(np.float32))
    targets = [_target(rng, n_objects, len(grid.strides)) for _ in range(2)]
    boxes = decode_boxes(logits, grid)
    for i, target in enumerate(targets):
        plain, ours = plain_assign(boxes[i], logits[i], grid, target), assign(boxes[i], logits[i], grid, target)
        assert plain.cells.tolist() == ours.cells.tolist()
        assert plain.objects.tolist() == ours.objects.tolist()
    expected = detection_loss(logits, grid, targets).total
    assert float(plain_loss(logits, grid, targets)) == pytest.approx(float(expected), rel=1e-4)


def test_an_epoch_changes_the_copy_and_not_the_start() -> None:
    torch.manual_seed(0)
    network = Yolox("yolox-nano", 3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    box = np.array([[10, 10, 40, 40]], np.float32)
    whole = np.array([[0, 0, 64, 48]], np.float32)
    nothing = np.zeros((0, 4), np.float32)
    sample = TrainingSample(lambda: picture, (64, 48), box, np.array([1]), nothing, whole)
    training = PlainTraining(network, [sample, sample], (SIDE, SIDE), batch_size=2)
    training.run_epoch()
    assert len(training.seconds) == 1
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    trained = training._network.state_dict()
    assert any(not torch.equal(before[name], value) for name, value in trained.items())


def test_halves_are_interleaved_blocks() -> None:
    trained = [position for position in range(N_TRAINED + N_SCORED) if is_trained_on(position)]
    assert len(trained) == N_TRAINED
    assert trained[:BLOCK] == list(range(BLOCK))
    assert not is_trained_on(BLOCK)
    assert is_trained_on(2 * BLOCK)
