"""A training that was killed at any moment continues and ends with the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edge_autotuner.config import AugmentationConfig, TrainingConfig
from edge_autotuner.errors import TrainingError
from edge_autotuner.models import TrainableNetwork
from edge_autotuner.training import TuningResult, checkpoints, tune
from support.cameras.coloured_scene import coloured_sample, fresh_network
from support.runs.trainable_cases import add_narrow_networks, fresh_ssdlite

SAMPLES = [coloured_sample(seed, (32, 32), n_objects=1) for seed in range(3)]
FLIPPED = AugmentationConfig(scale=0, translate=0, brightness=0, contrast=0, saturation=0)
START = {"yolox": fresh_network, "ssdlite": fresh_ssdlite}


class Killed(BaseException):
    """Stands for a process that ends."""


class KillingProgress:
    """Progress that kills at some step and counts them."""

    def __init__(self, at: int | None = None) -> None:
        self.n_steps, self.total, self._at = 0, 0, at

    def start(self, task: str, total: int | None) -> None:
        if task == "training":
            self.total = total or 0

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        self.n_steps += steps
        if note and self.n_steps == self._at:
            raise Killed

    def finish(self) -> None:
        pass


def by_weights(network: TrainableNetwork) -> float:
    """Score a network by what was trained, so that the same weights always have the same score."""
    return 0.5 + 0.5 * float(torch.tanh(sum(p.detach().double().sum() for p in network.box_parameters())))


def run(kind: str, folder: Path | None, layers: str = "all", **more: Any) -> TuningResult:
    settings = TrainingConfig.model_validate(
        {
            "layers": layers,
            "n_epochs": 3,
            "min_steps_per_epoch": 2,
            "max_steps_per_epoch": 2,
            "batch_size": 2,
            "n_threads": 1,
            "patience_epochs": 99,
            "augmentation": FLIPPED.model_dump(),
            "features": {"n_views": 2},
        }
    )
    start: TrainableNetwork = START[kind]()  # type: ignore[operator]
    return tune(
        start,
        SAMPLES,
        settings,
        input_size_wh=(32, 32),
        validate=more.pop("validate", by_weights),
        folder=folder,
        fingerprint=more.pop("fingerprint", "a"),
        **more,
    )


def assert_same(a: TuningResult, b: TuningResult) -> None:
    for x, y in zip(a.network.state_dict().values(), b.network.state_dict().values(), strict=True):
        assert torch.equal(x, y)
    assert a.best_epoch == b.best_epoch
    assert [(r.loss, r.val_ap) for r in a.history] == [(r.loss, r.val_ap) for r in b.history]


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    add_narrow_networks(monkeypatch)


CASES = [("yolox", "all"), ("yolox", "top"), ("yolox", "box"), ("ssdlite", "all"), ("ssdlite", "box")]


@pytest.mark.parametrize(("kind", "layers"), CASES)
def test_a_kill_in_an_epoch(kind: str, layers: str, tmp_path: Path) -> None:
    """In the first and in the second epoch; with frozen layers, their features are kept from one part to the next."""
    uninterrupted = run(kind, tmp_path / "at once", layers)
    for at in (1, 4):
        with pytest.raises(Killed):
            run(kind, tmp_path / "parts", layers, progress=KillingProgress(at))
    progress = KillingProgress()
    assert_same(run(kind, tmp_path / "parts", layers, progress=progress), uninterrupted)
    assert progress.n_steps == progress.total == 6  # the bar starts where it was


@pytest.fixture(scope="module")
def at_once() -> TuningResult:
    return run("yolox", None, "box")


@pytest.mark.parametrize("n_validations", [1, 3])
def test_a_kill_while_validating(n_validations: int, at_once: TuningResult, tmp_path: Path) -> None:
    n_calls = 0

    def validate(network: TrainableNetwork) -> float:
        nonlocal n_calls
        n_calls += 1
        if n_calls == n_validations:
            raise Killed
        return by_weights(network)

    with pytest.raises(Killed):
        run("yolox", tmp_path, "box", validate=validate)
    assert_same(run("yolox", tmp_path, "box"), at_once)


@pytest.mark.parametrize("n_writes", [1, 3])
@pytest.mark.parametrize("has_finished", [False, True], ids=["before the rename", "after the rename"])
def test_a_kill_while_a_checkpoint_is_written(
    has_finished: bool, n_writes: int, at_once: TuningResult, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    n_calls, write = 0, checkpoints.atomic_write_bytes

    def write_half(path: Path, data: bytes) -> None:
        nonlocal n_calls
        n_calls += 1
        if n_calls < n_writes or has_finished:
            write(path, data)
        if n_calls == n_writes:
            path.with_name(f".{path.name}.1-1.tmp").write_bytes(data[: len(data) // 2])
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "atomic_write_bytes", write_half)
        with pytest.raises(Killed):
            run("yolox", tmp_path, "box")
    assert_same(run("yolox", tmp_path, "box"), at_once)


def test_a_finished_training_is_not_repeated(tmp_path: Path, at_once: TuningResult) -> None:
    first = run("yolox", tmp_path, "box")
    progress = KillingProgress(at=6)
    again = run("yolox", tmp_path, "box", progress=progress)
    assert progress.n_steps == 6  # at once, without a step
    assert_same(again, first)
    assert_same(first, at_once)


def test_other_data_start_anew(tmp_path: Path) -> None:
    run("yolox", tmp_path, "box")
    with pytest.raises(Killed):
        run("yolox", tmp_path, "box", fingerprint="b", progress=KillingProgress(at=1))


def test_a_checkpoint_without_its_best_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("yolox", tmp_path, "box")
    save: Callable[..., bytes] = checkpoints.save
    monkeypatch.setattr(
        checkpoints, "save", lambda t, m: save({k: v for k, v in t.items() if not k.startswith("best.")}, m)
    )
    run("yolox", tmp_path, "box", fingerprint="b")
    with pytest.raises(TrainingError, match=r"checkpoint\.safetensors is damaged .*; delete it"):
        run("yolox", tmp_path, "box", fingerprint="b")
