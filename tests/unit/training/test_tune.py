"""The training loop: it learns, stops when told to, survives being killed, and never makes things worse."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from edge_autotuner.config import AugmentationConfig, TrainingConfig
from edge_autotuner.errors import ConfigError, TrainingDiverged, TrainingError
from edge_autotuner.models.yolox import Yolox
from edge_autotuner.training import TrainingSample, TuningResult, Validate, load_best, tune
from support.cameras.coloured_scene import coloured_sample, fresh_network, sample_of

SMALLEST = (32, 32)
STILL = AugmentationConfig(flip=0, scale=0, translate=0, brightness=0, contrast=0, saturation=0)
SAMPLES = [coloured_sample(seed, (32, 32), n_objects=1) for seed in range(3)]


def config(**changes: Any) -> TrainingConfig:
    """Return settings for epochs of two small steps."""
    few = {"layers": "box", "n_epochs": 3, "min_steps_per_epoch": 2, "max_steps_per_epoch": 2, "batch_size": 2}
    return TrainingConfig.model_validate({**few, "n_threads": 1, **changes})


def run(
    network: Yolox | None = None,
    *,
    settings: TrainingConfig | None = None,
    validate: Validate | None = None,
    **more: Any,
) -> TuningResult:
    return tune(
        network or fresh_network(),
        more.pop("samples", SAMPLES),
        settings or config(),
        input_size_wh=SMALLEST,
        validate=validate or scores_that(lambda n: n / 100),
        **more,
    )


def scores_that(follow: Callable[[int], float]) -> Validate:
    """Return a validation whose n-th answer, from 0 on, is `follow(n)`."""
    n_calls = 0

    def validate(_: Yolox) -> float:
        nonlocal n_calls
        n_calls += 1
        return follow(n_calls - 1)

    return validate


def same_weights(a: Yolox, b: Yolox) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


class Steps:
    """Progress that counts steps and does something at each."""

    def __init__(self, at_step: Callable[[int], None] = lambda _: None) -> None:
        self.n_steps = 0
        self.total: int | None = None
        self.is_finished = False
        self._at_step = at_step

    def start(self, task: str, total: int | None) -> None:
        assert task == "training"
        self.total = total

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        self.n_steps += steps
        if note:
            self._at_step(self.n_steps)

    def finish(self) -> None:
        self.is_finished = True


# --- learning


def test_the_loss_falls_in_a_few_steps() -> None:
    settings = config(
        layers="all", n_epochs=2, min_steps_per_epoch=10, max_steps_per_epoch=10, max_lr=2e-3, augmentation=STILL
    )
    result = run(settings=settings, samples=SAMPLES[:1])
    losses = [record.loss for record in result.history[1:]]
    assert losses[1] < 0.9 * losses[0]


# --- what comes back


def test_the_best_epoch_is_returned() -> None:
    result = run(validate=scores_that([0.1, 0.2, 0.7, 0.4].__getitem__))
    assert (result.best_epoch, result.best_val_ap, result.stopped_by) == (2, 0.7, "epochs")
    assert [(r.epoch, r.val_ap) for r in result.history] == [(0, 0.1), (1, 0.2), (2, 0.7), (3, 0.4)]
    another_choice = run(validate=scores_that([0.1, 0.2, 0.7, 0.9].__getitem__))
    assert not same_weights(result.network, another_choice.network)


def test_nothing_worse_than_the_start_is_returned() -> None:
    start = fresh_network()
    result = run(start, validate=scores_that(lambda n: 0.5 - n / 10))
    assert (result.best_epoch, result.best_val_ap) == (0, 0.5)
    assert same_weights(result.network, start)


def test_an_equal_score_does_not_replace_the_start() -> None:
    start = fresh_network()
    result = run(start, validate=scores_that(lambda _: 0.5))
    assert result.best_epoch == 0
    assert same_weights(result.network, start)


def test_the_start_is_left_unchanged_and_so_is_the_number_of_threads() -> None:
    start, untouched, n_threads = fresh_network(), fresh_network(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        result = run(start, settings=config(layers="all", n_epochs=1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(n_threads)
    assert same_weights(start, untouched)
    assert all(parameter.requires_grad for parameter in start.parameters())
    assert not same_weights(result.network, start)


@pytest.mark.parametrize("layers", ["box", "all"])
def test_the_number_of_cores_changes_no_bit(layers: str) -> None:
    """Also with batches that are made ahead."""
    alone, together = (
        run(settings=config(layers=layers, n_threads=n_threads, batch_size=3, features={"enabled": False}))
        for n_threads in (1, 2)
    )
    assert same_weights(alone.network, together.network)
    assert [e.loss for e in alone.history[1:]] == [e.loss for e in together.history[1:]]


def test_history_holds_the_parts_of_the_loss() -> None:
    start, first = run(settings=config(n_epochs=1, distill_weight=0.5)).history
    assert start.loss == start.box_loss == start.seconds == 0
    parts = (first.box_loss, first.objectness_loss, first.class_loss, first.distillation_loss)
    assert min(parts) > 0
    assert first.loss == pytest.approx(sum(parts), rel=1e-5)


@pytest.mark.parametrize("layers", ["box", "top", "all"])
def test_only_the_chosen_layers_change(layers: str) -> None:
    start = fresh_network()
    result = run(start, settings=config(layers=layers, n_epochs=1))
    chosen = {"box": start.box_parameters(), "top": start.top_parameters(), "all": list(start.parameters())}[layers]
    ids = {id(parameter) for parameter in chosen}
    after = dict(result.network.named_parameters())
    for name, parameter in start.named_parameters():
        if id(parameter) not in ids:
            assert torch.equal(parameter, after[name]), name
    n_changed = sum(not torch.equal(parameter, after[name]) for name, parameter in start.named_parameters())
    # biases of a stride on which no object stands have no gradient yet: two for boxes and classes, times three
    assert len(chosen) - 6 <= n_changed <= len(chosen)
    assert (result.layers, result.n_parameters) == (layers, sum(parameter.numel() for parameter in chosen))


def test_auto_counts_the_boxes_of_all_pictures() -> None:
    assert run(settings=config(layers="auto", auto_all_from_boxes=3, n_epochs=1)).layers == "all"
    assert run(settings=config(layers="auto", auto_all_from_boxes=4, n_epochs=1)).layers == "box"


@pytest.mark.parametrize(
    ("n_samples", "limits", "n_steps"),
    [(3, (1, 9), 2), (3, (4, 9), 4), (3, (1, 1), 1), (1, (1, 9), 1)],
    ids=["as many as needed", "at least", "at most", "one picture"],
)
def test_steps_per_epoch(n_samples: int, limits: tuple[int, int], n_steps: int) -> None:
    steps = Steps()
    settings = config(n_epochs=1, min_steps_per_epoch=limits[0], max_steps_per_epoch=limits[1])
    run(settings=settings, samples=SAMPLES[:n_samples], progress=steps)
    assert (steps.total, steps.n_steps, steps.is_finished) == (n_steps, n_steps, True)


# --- stopping


def test_patience_counts_from_the_end_of_the_warm_up() -> None:
    """Three of nine epochs warm up; two without a better score follow."""
    scores = [0.1, 0.3, 0.2, 0.3, 0.2, 0.3]
    result = run(settings=config(n_epochs=9, patience_epochs=2), validate=scores_that(scores.__getitem__))
    assert (result.stopped_by, result.best_epoch, len(result.history)) == ("patience", 1, 6)


def test_patience_counts_from_the_best_epoch() -> None:
    scores = [0.1, 0.2, 0.2, 0.3, 0.4, 0.3, 0.3]
    result = run(settings=config(n_epochs=9, patience_epochs=2), validate=scores_that(scores.__getitem__))
    assert (result.stopped_by, result.best_epoch, len(result.history)) == ("patience", 4, 7)


# --- failing


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_divergence_is_reported_with_where_and_what_to_do(value: float, tmp_path: Path) -> None:
    broken = fresh_network()
    with torch.no_grad():
        broken.head.obj_preds[0].bias.fill_(value)
    message = r"loss is (nan|inf) at epoch 1, step 0, learning rate 4e-05; .* lower training.max_lr"
    with pytest.raises(TrainingDiverged, match=message):
        run(broken, folder=tmp_path, fingerprint="a")
    kept = fresh_network(seed=1)
    state = load_best(tmp_path, "a", kept)
    assert state is not None
    assert state.best_epoch == 0
    assert torch.equal(kept.head.stems[0].conv.weight, broken.head.stems[0].conv.weight)


def test_a_gradient_that_is_no_number_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The third step's gradient overflows although its loss is finite: what two steps have learnt is kept."""
    clip, n_calls = torch.nn.utils.clip_grad_norm_, 0

    def overflow(*given: Any, **named: Any) -> Tensor:
        nonlocal n_calls
        n_calls += 1
        return torch.tensor(math.inf) if n_calls == 3 else clip(*given, **named)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", overflow)
    with pytest.raises(TrainingDiverged, match=r"loss is \d\S*, but its gradient is inf at epoch 2, step 0"):
        run(folder=tmp_path, fingerprint="a")
    state = load_best(tmp_path, "a", fresh_network())
    assert state is not None
    assert (state.best_epoch, state.step) == (1, 2)


@pytest.mark.parametrize(
    "samples", [[], [sample_of(np.zeros((32, 32, 3), np.uint8))]], ids=["no pictures", "no labels"]
)
def test_nothing_to_learn_is_an_error(samples: list[TrainingSample]) -> None:
    with pytest.raises(TrainingError, match="no labelled object in the training frames"):
        run(samples=samples)


# --- strange labels


def labelled(*boxes: tuple[float, float, float, float], class_id: int = 0) -> TrainingSample:
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    return sample_of(image, boxes_xyxy=np.array(boxes, np.float32), class_ids=np.full(len(boxes), class_id))


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param([labelled((4, 4, 20, 20), class_id=1)], id="a single frame, one class only"),
        pytest.param([labelled((-9, -9, 20, 20), (20, 8, 60, 60))], id="boxes that reach outside"),
        pytest.param([labelled((40, 40, 60, 60), (-30, 2, -10, 9))], id="boxes outside"),
        pytest.param([labelled((8, 8, 8, 20), (5, 5, 5.5, 5.5))], id="boxes without a size"),
    ],
)
def test_strange_labels_are_survived(samples: list[TrainingSample]) -> None:
    result = run(settings=config(n_epochs=1, layers="all"), samples=samples)
    assert math.isfinite(result.history[1].loss)
    assert result.history[1].loss > 0
    assert all(torch.isfinite(weights).all() for weights in result.network.state_dict().values())


# --- precision and weights of labels


def test_bfloat16_learns_like_float32() -> None:
    """Half of the bits: losses agree to some percent, and the weights stay float32."""
    exact, mixed = (
        run(settings=config(layers="all", n_epochs=1, augmentation=STILL, precision=precision))
        for precision in ("float32", "bfloat16")
    )
    assert mixed.history[1].loss == pytest.approx(exact.history[1].loss, rel=0.05)
    assert mixed.history[1].loss != exact.history[1].loss
    assert all(weights.dtype == torch.float32 for weights in mixed.network.parameters())


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="torch finds no CUDA device"):
        run(settings=config(device="cuda"))


def test_nothing_of_a_training_stays_in_memory() -> None:
    """In a new process, where torch has not made an optimizer before; without Python's search for circles."""
    script = """
import gc
from test_tune import config, run
from edge_autotuner.training.learner import Learner
from edge_autotuner.training.pictures import BatchMaker, PictureCache

gc.collect()
gc.disable()
result = run(settings=config(layers="all", n_threads=2))
kinds = [type(thing) for thing in gc.get_objects()]
print(kinds.count(type(result)), sum(kinds.count(kind) for kind in (Learner, BatchMaker, PictureCache)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "0"], "the result is there, the training is not"
