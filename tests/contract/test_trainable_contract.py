"""Every architecture that can be trained, the same expectations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from edge_autotuner.config import AugmentationConfig, TrainingConfig
from edge_autotuner.core import LabelMap
from edge_autotuner.core.types import SizeWH
from edge_autotuner.deployment import check_export, export_onnx
from edge_autotuner.evaluation import Truth, score_detections
from edge_autotuner.models import (
    OnnxDetector,
    TrainableNetwork,
    load_network,
    prepare_input,
    save_network,
    with_classes,
)
from edge_autotuner.models.torch_detector import TorchDetector
from edge_autotuner.training import BatchMaker, Target, TrainingSample, Validate, objective_for, tune
from support.cameras.coloured_scene import LABELS, coloured_sample, sample_of
from support.runs.tiny_transformers import NOT_INSTALLED
from support.runs.trainable_cases import CASES, Case, add_narrow_networks, last_answers, places_of

SIZE = (64, 64)
STILL = AugmentationConfig(flip=0, scale=0, translate=0, brightness=0, contrast=0, saturation=0)
TWO_BOXES = [[8.0, 10.0, 30.0, 34.0], [36.0, 28.0, 60.0, 50.0]]


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    add_narrow_networks(monkeypatch)


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    chosen: Case = request.param
    if not chosen.is_installed:
        pytest.skip(NOT_INSTALLED)
    return chosen


def images_of(seed: int = 0, *, batch: int = 1, size_wh: SizeWH = SIZE) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, size_wh[1], size_wh[0], generator=generator) * 255


def target_of(
    boxes: list[list[float]], network: TrainableNetwork, *, known: bool | Tensor = True, weights: Tensor | None = None
) -> Target:
    n = len(objective_for(network, SIZE).centres)
    is_known = torch.full((n,), known) if isinstance(known, bool) else known
    class_ids = torch.arange(len(boxes), dtype=torch.int64) % 2
    return Target(torch.tensor(boxes).reshape(-1, 4), class_ids, is_known, weights)


def total_loss(network: TrainableNetwork, outputs: Tensor, target: Target, reference: Tensor | None = None) -> Tensor:
    objective = objective_for(network, SIZE)
    weight = 0.0 if reference is None else 0.5
    return objective.loss(outputs, [target] * len(outputs), reference=reference, distill_weight=weight).total


# --- the network


@torch.inference_mode()
def test_there_is_one_row_of_outputs_for_each_place(case: Case) -> None:
    network = case.fresh(3, 0)
    for size_wh in (SIZE, (96, 64)):
        outputs = network(images_of(batch=2, size_wh=size_wh))
        centres = places_of(network, outputs[0], size_wh)
        assert outputs.shape[:2] == (2, len(centres))
        assert (centres > 0).all()
        assert (centres < torch.tensor(size_wh)).all()
        boxes, scores = network.decoded(size_wh)(images_of(size_wh=size_wh))
        assert (boxes.shape, scores.shape) == ((1, len(centres), 4), (1, len(centres), 3))
        assert ((scores >= 0) & (scores <= 1)).all()


@torch.inference_mode()
def test_a_picture_is_seen_alike_in_any_batch_and_mode(case: Case) -> None:
    network, images = case.fresh(2, 0).double(), images_of(batch=3).double()
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(network.train()(images), alone, atol=1e-9, rtol=1e-9)


def test_wider_modes_train_more(case: Case) -> None:
    network = case.fresh(2, 0)
    box, top, everything = ({id(p) for p in network.layer_parameters(layers)} for layers in ("box", "top", "all"))
    assert box < top < everything == {id(p) for p in network.parameters()}


@pytest.mark.parametrize("layers", ["box", "top", "all"])
def test_features_and_what_is_made_of_them_are_the_network(case: Case, layers: str) -> None:
    network, images = case.fresh(2, 0), images_of(batch=2, size_wh=(96, 64))
    with torch.no_grad():
        features = network.features_before(images, layers)
        before = [feature.clone() for feature in features]
        assert torch.equal(network.outputs_of(features, layers), network(images))
    assert all(torch.equal(feature, kept) for feature, kept in zip(features, before, strict=True))
    if layers == "all":
        assert len(features) == 1
        assert features[0] is images


@pytest.mark.parametrize("layers", ["box", "top", "all"])
@torch.no_grad()
def test_features_depend_on_frozen_layers_alone(case: Case, layers: str) -> None:
    network, images = case.fresh(2, 0), images_of()
    before, outputs = network.features_before(images, layers), network(images)
    trained = {id(parameter) for parameter in network.layer_parameters(layers)}
    for parameter in network.layer_parameters(layers):
        parameter.add_(1.0)
    after = network.features_before(images, layers)
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert not torch.equal(network.outputs_of(after, layers), outputs)
    for parameter in (p for p in network.parameters() if id(p) not in trained):
        parameter.mul_(1.5)
    with_other_frozen = network.features_before(images, layers)
    assert all(torch.equal(a, b) == (layers == "all") for a, b in zip(with_other_frozen, before, strict=True))


@pytest.mark.parametrize("layers", ["box", "top", "all"])
def test_gradients_by_way_of_the_features_are_those_of_the_network(case: Case, layers: str) -> None:
    network, images = case.fresh(2, 0), images_of()
    chosen = network.layer_parameters(layers)
    with torch.no_grad():
        features = network.features_before(images, layers)
    target = target_of(TWO_BOXES, network)
    by_features = torch.autograd.grad(total_loss(network, network.outputs_of(features, layers), target), chosen)
    direct = torch.autograd.grad(total_loss(network, network(images), target), chosen)
    for a, b in zip(by_features, direct, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)  # sums of products in other orders
    assert sum(bool((gradient != 0).any()) for gradient in by_features) > len(chosen) / 2


def test_weights_come_back_bit_for_bit(case: Case, tmp_path: Path) -> None:
    network = case.fresh(2, 0)
    save_network(tmp_path / "w.safetensors", network, LABELS)
    loaded, labels = load_network(tmp_path / "w.safetensors")
    assert (loaded.architecture, labels) == (network.architecture, LABELS)
    with torch.inference_mode():
        assert torch.equal(loaded(images_of()), network(images_of()))


# the others look where the chosen classes are: see tests/unit/models/test_transformers_detr.py
@pytest.mark.parametrize("case", [case for case in CASES if case.has_fixed_places], ids=lambda case: case.name)
@torch.inference_mode()
def test_chosen_classes_keep_their_scores(case: Case) -> None:
    network = case.fresh(2, 0)
    assert network.has_fixed_places
    fewer = with_classes(network, LABELS, LabelMap(LABELS.names[1:]))
    (boxes, scores), (same_boxes, one) = (n.decoded(SIZE)(images_of()) for n in (network, fewer))
    torch.testing.assert_close(same_boxes, boxes, atol=1e-3, rtol=1e-5)
    torch.testing.assert_close(one, scores[..., 1:], atol=1e-5, rtol=1e-5)


def talkative(network: TrainableNetwork) -> TrainableNetwork:
    """Let a fresh network say something else in each place."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.box_parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return network


@pytest.mark.parametrize("size_wh", [SIZE, (96, 64)], ids=["square", "wide"])
def test_the_export_says_what_the_network_says(case: Case, size_wh: SizeWH, tmp_path: Path) -> None:
    network, path = talkative(case.fresh(2, 0)), tmp_path / "m.onnx"
    module = network.decoded(size_wh).eval()
    export_onnx(module, size_wh, path)
    check_export(module, path, size_wh, is_ordered=network.has_fixed_places)
    frame = coloured_sample(5, (120, 90)).read_image()
    spec = network.detector_spec("m", LABELS, size_wh)
    exported = OnnxDetector(path, spec, n_threads=1, min_score=0.001).detect(frame)
    found = TorchDetector(network, LABELS, size_wh, min_score=0.001).detect(frame)
    assert len(found) == len(exported) > 2
    assert exported.class_ids.tolist() == found.class_ids.tolist()
    # two libraries sum the same products in different orders
    assert exported.scores == pytest.approx(found.scores, abs=1e-4)
    assert exported.boxes_xyxy == pytest.approx(found.boxes_xyxy, abs=0.02)


# --- the loss


@pytest.mark.parametrize(
    ("boxes", "known"),
    [
        pytest.param([], True, id="no boxes"),
        pytest.param(TWO_BOXES[:1], True, id="one box"),
        pytest.param([[500.0, 500.0, 520.0, 520.0]], True, id="outside the picture"),
        pytest.param([[-40.0, -40.0, -20.0, -20.0], TWO_BOXES[0]], True, id="one outside, one inside"),
        pytest.param([[10.0, 10.0, 10.0, 10.0]], True, id="a point"),
        pytest.param([[20.0, 20.0, 21.0, 21.0]], True, id="a pixel"),
        pytest.param([[0.0, 0.0, 64.0, 64.0]], True, id="the whole picture"),
        pytest.param([TWO_BOXES[0]] * 3, True, id="three times the same"),
        pytest.param([], False, id="nothing known"),
        pytest.param(TWO_BOXES, False, id="only boxes known"),
    ],
)
def test_the_loss_is_finite_with_a_finite_gradient(case: Case, boxes: list[list[float]], known: bool) -> None:
    network = case.fresh(2, 0)
    outputs = network(images_of(batch=2))
    loss = total_loss(network, outputs, target_of(boxes, network, known=known), reference=outputs.detach() * 0.9)
    (slope,) = torch.autograd.grad(loss, outputs)
    assert 0 <= loss.item() < float("inf")
    assert torch.isfinite(slope).all()


def test_unknown_places_take_no_part(case: Case) -> None:
    network = case.fresh(2, 0)
    outputs = network(images_of()).detach().requires_grad_()
    known = objective_for(network, SIZE).centres[:, 0] < 32
    left = places_of(network, outputs[0], SIZE)[:, 0] < 32
    (slope,) = torch.autograd.grad(total_loss(network, outputs, target_of([], network, known=known)), outputs)
    assert (slope[0, ~left] == 0).all()
    assert slope[0, left].abs().sum(dim=1).min() > 0


def test_an_object_counts_where_nothing_else_is_known(case: Case) -> None:
    network = case.fresh(2, 0)
    outputs = network(images_of()).detach().requires_grad_()
    loss = total_loss(network, outputs, target_of(TWO_BOXES[:1], network, known=False))
    (slope,) = torch.autograd.grad(loss, outputs)
    touched = slope[0].abs().sum(dim=1).nonzero().squeeze(1)
    assert 0 < len(touched) < len(slope[0]) / 4


def test_weights_of_labels_scale_what_they_say(case: Case) -> None:
    """With nothing else known, the loss is that of the objects alone."""
    network = case.fresh(2, 0)
    outputs = network(images_of()).detach()
    full, ones, half, none = (
        total_loss(network, outputs, target_of(TWO_BOXES, network, known=False, weights=weights)).item()
        for weights in (None, *(torch.full((2,), value) for value in (1.0, 0.5, 0.0)))
    )
    assert full > 0
    assert (ones, half, none) == (full, pytest.approx(full / 2, rel=1e-6), 0)


def test_a_label_of_no_weight_is_not_background(case: Case) -> None:
    network = case.fresh(2, 0)
    outputs = network(images_of()).detach().requires_grad_()
    target = target_of(TWO_BOXES[:1], network, weights=torch.zeros(1))
    (slope,) = torch.autograd.grad(total_loss(network, outputs, target), outputs)
    free = last_answers(network, slope[0]).abs().sum(dim=1) == 0
    centres = places_of(network, outputs[0], SIZE)[free]
    assert 0 < int(free.sum()) < len(free) / 4
    assert (centres[:, 0].mean() - 19).abs() < 16  # around the object
    assert (centres[:, 1].mean() - 22).abs() < 16


def test_gradients_agree_with_finite_differences(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """The assignment is a choice and has no gradient: it is held still, with its overlaps.

    Between the stages of a network without fixed places gradients are stopped on purpose: there, only the loss is
    looked at, as a function of the outputs.
    """
    network = case.fresh(2, 0).double()
    images = images_of(3).double()
    with torch.no_grad():
        for bias in (p for p in network.parameters() if p.ndim == 1):  # no ReLU may stand exactly at its corner
            bias.add_(0.1 * torch.randn(bias.shape, generator=torch.Generator().manual_seed(6)))
    is_known = torch.rand(len(objective_for(network, SIZE).centres), generator=torch.Generator().manual_seed(2)) < 0.6
    labels = target_of(TWO_BOXES, network, known=is_known, weights=torch.tensor([1.0, 0.4]))
    with torch.no_grad():
        reference = network(images) + torch.randn(1, generator=torch.Generator().manual_seed(4)).double()
    chosen = []
    choose = getattr(case.loss_module, case.assign)
    monkeypatch.setattr(case.loss_module, case.assign, lambda *given: chosen.append(choose(*given)) or chosen[0])

    outputs = network(images).detach().requires_grad_()
    parameters = list(network.parameters()) if network.has_fixed_places else [outputs]

    def loss() -> Tensor:
        return total_loss(network, network(images) if network.has_fixed_places else outputs, labels, reference)

    slopes = torch.autograd.grad(loss(), parameters)
    assert len(chosen[0].cells) >= 2
    generator = torch.Generator().manual_seed(5)
    for _ in range(3):
        direction = [torch.randn(p.shape, generator=generator).double() * p.detach().abs().mean() for p in parameters]
        expected = sum(float((slope * d).sum()) for slope, d in zip(slopes, direction, strict=True))
        step, values = 1e-6, []
        for sign in (1, -1):
            with torch.no_grad():
                for parameter, d in zip(parameters, direction, strict=True):
                    parameter.add_(sign * step * d)
                values.append(float(loss()))
                for parameter, d in zip(parameters, direction, strict=True):
                    parameter.sub_(sign * step * d)
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(expected, rel=1e-4, abs=1e-6)


# --- training


def settings(**changes: Any) -> TrainingConfig:
    few = {"n_epochs": 1, "min_steps_per_epoch": 2, "max_steps_per_epoch": 2, "batch_size": 2, "n_threads": 1}
    return TrainingConfig.model_validate({**few, "augmentation": STILL.model_dump(), **changes})


def rising() -> Validate[TrainableNetwork]:
    """Return a validation that finds each network better than the one before."""
    answers = iter(range(1, 1000))
    return lambda _: next(answers) / 1000


@pytest.mark.parametrize("layers", ["box", "top", "all"])
def test_frozen_layers_stay_bit_equal(case: Case, layers: str) -> None:
    start, samples = case.fresh(2, 0), [coloured_sample(seed) for seed in range(2)]
    result = tune(start, samples, settings(layers=layers), input_size_wh=SIZE, validate=rising())
    chosen = {id(parameter) for parameter in start.layer_parameters(layers)}
    after = dict(result.network.named_parameters())
    for name, parameter in start.named_parameters():
        if id(parameter) not in chosen:
            assert torch.equal(parameter, after[name]), name
    changed = [id(p) for name, p in start.named_parameters() if not torch.equal(p, after[name])]
    assert set(changed) <= chosen
    assert len(changed) > len(chosen) / 2
    assert (result.layers, result.n_parameters) == (layers, sum(p.numel() for p in start.layer_parameters(layers)))


def test_the_same_seed_gives_the_same_weights(case: Case) -> None:
    samples = [coloured_sample(seed) for seed in range(3)]
    states = [
        tune(case.fresh(2, 0), samples, settings(layers="all"), input_size_wh=SIZE, validate=rising()).network
        for _ in range(2)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*(state.state_dict().values() for state in states), strict=True))


def ap50_on(samples: list[TrainingSample]) -> Validate[TrainableNetwork]:
    truths = [Truth(s.boxes_xyxy, s.class_ids, np.zeros(len(s.class_ids), bool)) for s in samples]

    def validate(network: TrainableNetwork) -> float:
        detector = TorchDetector(network, LABELS, SIZE)
        found = [detector.detect(sample.read_image()) for sample in samples]
        return score_detections(found, truths, LABELS, max_detections=10, min_score=0.05).ap50

    return validate


@pytest.mark.slow
def test_a_small_scene_is_learnt_from_random_weights(case: Case) -> None:
    samples = [coloured_sample(seed) for seed in range(4)]
    steps = {"min_steps_per_epoch": 25, "max_steps_per_epoch": 25, "batch_size": 4}
    config = settings(layers="all", max_lr=3e-3, n_epochs=case.n_epochs, ema_decay=0.8, **steps)
    result = tune(case.fresh(2, 0), samples, config, input_size_wh=SIZE, validate=ap50_on(samples))
    assert result.history[0].val_ap < 0.1
    assert result.best_val_ap > 0.9
    assert result.history[-1].loss < result.history[1].loss / 2


def test_a_frame_is_trained_on_as_it_is_seen_at_run_time(case: Case) -> None:
    """What the labels mark is where the detector's own way of resizing puts it."""
    frame = np.full((60, 120, 3), 90, np.uint8)
    frame[12:48, 30:84] = 220
    sample = sample_of(frame, boxes_xyxy=np.array([[30, 12, 84, 48]], np.float32))
    network = case.fresh(2, 0)
    batch = BatchMaker([sample], SIZE, network=network, augmentation=STILL, seed=0).batch([0], epoch=0, step=0)
    pixels, placement = prepare_input(frame, network.detector_spec("m", LABELS, SIZE))
    boxes = sample.boxes_xyxy * placement.scale_xyxy
    assert batch.targets[0].boxes_xyxy.numpy() == pytest.approx(boxes, abs=0.5)
    height, width = min(batch.images.shape[2], pixels.shape[2]), pixels.shape[3]
    difference = np.abs(batch.images[0].numpy()[:, :height, :width] - pixels[0][:, :height, :width])
    assert np.median(difference) == 0
    assert difference.mean() < 5
