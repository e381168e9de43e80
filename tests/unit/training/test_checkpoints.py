"""A killed training continues from exactly where it was, and never from something damaged or foreign."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from edge_autotuner.errors import TrainingError
from edge_autotuner.training.checkpoints import (
    TrainingState,
    load_best,
    load_checkpoint,
    save_checkpoint,
)
from edge_autotuner.training.learning_curve import EpochRecord


class Setting:
    """A small network, the best one so far and an optimizer after some steps."""

    def __init__(self, seed: int, *, n_steps: int = 3, n_out: int = 2) -> None:
        torch.manual_seed(seed)
        self.network, self.best = nn.Conv2d(3, n_out, 3), nn.Conv2d(3, n_out, 3)
        self.optimizer = torch.optim.AdamW([{"params": [p], "weight_decay": 0.1} for p in self.network.parameters()])
        for _ in range(n_steps):
            self.step()

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.network(torch.ones(1, 3, 4, 4)).square().sum().backward()
        self.optimizer.step()

    def weights(self) -> list[torch.Tensor]:
        return [t.clone() for m in (self.network, self.best) for t in m.state_dict().values()]

    def save(self, folder: Path, state: TrainingState) -> None:
        save_checkpoint(folder, state, {"student": self.network, "best": self.best}, self.optimizer)

    def load(self, folder: Path, fingerprint: str) -> TrainingState | None:
        networks = {"student": self.network, "best": self.best}
        return load_checkpoint(folder, fingerprint, networks, self.optimizer)


def equal(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


STATE = TrainingState(
    fingerprint="f1",
    epoch=2,
    step=50,
    best_epoch=1,
    best_val_ap=1 / 3,
    seconds=12.5,
    history=[EpochRecord(0, 0, 0, 0, 0, 0, 0.1, 0), EpochRecord(1, 2.5, 1, 1, 0.5, 0, 1 / 3, 6.25)],
)


def test_everything_comes_back_bit_for_bit(tmp_path: Path) -> None:
    saved, loaded = Setting(1), Setting(2, n_steps=0)
    saved.save(tmp_path / "new" / "folder", STATE)
    assert loaded.load(tmp_path / "new" / "folder", "f1") == STATE
    assert equal(loaded.weights(), saved.weights())
    saved.step()
    loaded.step()  # the optimizer's moments and step count decide where this goes
    assert equal(loaded.weights(), saved.weights())


def test_a_checkpoint_before_the_first_step_has_an_empty_optimizer(tmp_path: Path) -> None:
    saved, loaded = Setting(1, n_steps=0), Setting(2)
    saved.save(tmp_path, TrainingState("f1"))
    assert loaded.load(tmp_path, "f1") == TrainingState("f1")
    assert loaded.optimizer.state_dict()["state"] == {}


def test_a_newer_checkpoint_replaces_the_older_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    setting = Setting(1)
    setting.save(tmp_path, TrainingState("f1", epoch=1))
    setting.save(tmp_path, TrainingState("f1", epoch=2))
    loaded = setting.load(tmp_path, "f1")
    assert loaded is not None
    assert loaded.epoch == 2
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_there_may_be_no_checkpoint(tmp_path: Path) -> None:
    setting = Setting(1)
    before = setting.weights()
    assert setting.load(tmp_path, "f1") is None
    assert setting.load(tmp_path / "absent", "f1") is None
    assert equal(setting.weights(), before)


def test_a_checkpoint_of_other_data_is_not_continued(tmp_path: Path) -> None:
    Setting(1).save(tmp_path, STATE)
    other = Setting(2)
    before = other.weights()
    assert other.load(tmp_path, "f2") is None
    assert equal(other.weights(), before)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_checkpoint_is_refused(keep: int, tmp_path: Path) -> None:
    setting = Setting(1)
    setting.save(tmp_path, STATE)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TrainingError, match=r"checkpoint .* is damaged .*; delete it to restart this training"):
        setting.load(tmp_path, "f1")


def rewrite(path: Path, state: str | None) -> None:
    save_file(load_file(path), path, None if state is None else {"state": state})


@pytest.mark.parametrize(
    "state", [None, "", "{", "[]", '{"history": [{}]}', '{"history": [], "fingerprint": "f1", "more": 1}']
)
def test_a_damaged_state_is_refused(state: str | None, tmp_path: Path) -> None:
    setting = Setting(1)
    setting.save(tmp_path, STATE)
    rewrite(tmp_path / "checkpoint.safetensors", state)
    with pytest.raises(TrainingError, match="is damaged"):
        setting.load(tmp_path, "f1")


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    Setting(1).save(tmp_path, STATE)
    with pytest.raises(TrainingError, match="is damaged"):
        Setting(1, n_out=5).load(tmp_path, "f1")


def test_the_file_needs_no_pickle(tmp_path: Path) -> None:
    Setting(1).save(tmp_path, STATE)
    with safe_open(tmp_path / "checkpoint.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["state"])["epoch"] == 2


def test_the_best_weights_come_back_alone(tmp_path: Path) -> None:
    saved, loaded = Setting(1), nn.Conv2d(3, 2, 3)
    saved.save(tmp_path, STATE)
    assert load_best(tmp_path, "f1", loaded) == STATE
    assert equal(list(loaded.state_dict().values()), list(saved.best.state_dict().values()))


def test_there_may_be_no_best_weights(tmp_path: Path) -> None:
    network = nn.Conv2d(3, 2, 3)
    before = [t.clone() for t in network.state_dict().values()]
    assert load_best(tmp_path, "f1", network) is None
    Setting(1).save(tmp_path, STATE)
    assert load_best(tmp_path, "f2", network) is None
    assert equal(list(network.state_dict().values()), before)


@pytest.mark.parametrize("content", [b"", b"0123456789"])
def test_damaged_best_weights_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(content)
    with pytest.raises(TrainingError, match=r"checkpoint\.safetensors is damaged"):
        load_best(tmp_path, "f1", Setting(1).network)
