"""A training from kept features: a kill changes nothing, and the disk is free at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edge_autotuner.config import TrainingConfig
from edge_autotuner.core.progress import NoProgress
from edge_autotuner.models import TrainableNetwork
from edge_autotuner.training import TuningResult, tune
from support.cameras.coloured_scene import coloured_sample, fresh_network

SAMPLES = [coloured_sample(i, n_objects=1 + i % 2) for i in range(3)]
FILES = {"features.json", "features.bin", "features.journal"}


class Killed(NoProgress):
    """Interrupts a training after some steps."""

    def __init__(self, n_steps: int) -> None:
        self._n_left = n_steps

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        if "loss" in note:
            self._n_left -= 1
            if self._n_left == 0:
                raise KeyboardInterrupt


def trained(folder: Path | None, progress: NoProgress | None = None) -> TuningResult[TrainableNetwork]:
    few = {"n_epochs": 3, "min_steps_per_epoch": 2, "max_steps_per_epoch": 2, "batch_size": 2, "n_threads": 1}
    config = TrainingConfig.model_validate({**few, "layers": "box", "features": {"n_views": 2, "min_free_gb": 0}})
    return tune(
        fresh_network(),
        SAMPLES,
        config,
        input_size_wh=(64, 64),
        validate=lambda network: sum(float(p.detach().abs().sum()) for p in network.box_parameters()) % 1,
        folder=folder,
        fingerprint="abc",
        progress=progress,
    )


def same_weights(a: TrainableNetwork, b: TrainableNetwork) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("n_steps", [3, 6])
def test_a_killed_training_ends_with_the_same_weights_and_frees_the_disk(n_steps: int, tmp_path: Path) -> None:
    straight = trained(None)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, Killed(n_steps))
    assert {path.name for path in tmp_path.iterdir()} >= FILES
    resumed = trained(tmp_path)
    assert [record.loss for record in resumed.history] == [record.loss for record in straight.history]
    assert same_weights(resumed.network, straight.network)
    assert not same_weights(resumed.network, fresh_network())
    assert {path.name for path in tmp_path.iterdir()}.isdisjoint(FILES)


def test_what_a_kill_at_the_very_end_has_left_is_removed(tmp_path: Path) -> None:
    trained(tmp_path)
    for name in FILES:
        (tmp_path / name).write_bytes(b"left")
    trained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()}.isdisjoint(FILES)
