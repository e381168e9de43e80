"""What the labels do not speak of stays as the starting model says it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from edge_autotuner.config import TrainingConfig
from edge_autotuner.models.ssdlite_anchors import Anchors
from edge_autotuner.models.yolox import CellGrid
from edge_autotuner.training import LossParts, Target, tune
from edge_autotuner.training.distillation import move_towards, scarce_classes, with_scarce, without_scarce
from edge_autotuner.training.losses import detection_loss
from edge_autotuner.training.samples import TrainingSample
from edge_autotuner.training.ssdlite_losses import ssdlite_loss
from support.cameras.coloured_scene import coloured_sample, fresh_network, sample_of

SIZE = 64
GRID = CellGrid.of_input(SIZE, SIZE)
ANCHORS = Anchors.of_input(SIZE, SIZE)
BLUE_IS_SCARCE = torch.tensor([False, True])


def sample(*class_ids: int, origin: str = "camera") -> TrainingSample:
    image = np.zeros((32, 32, 3), np.uint8)
    boxes = np.tile(np.array([[2, 2, 20, 20]], np.float32), (len(class_ids), 1))
    plain = sample_of(image, boxes_xyxy=boxes, class_ids=np.array(class_ids, np.int64))
    return TrainingSample(**{**plain.__dict__, "origin": origin})


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        pytest.param([], [True, True, True], id="no pictures"),
        pytest.param([sample()], [True, True, True], id="no labels"),
        pytest.param([sample(0, 2)], [False, True, False], id="two classes"),
        pytest.param(
            [sample(0), sample(1, origin="generic"), sample(2, origin="replay")], [False, True, True], id="own"
        ),
        pytest.param([sample(*[0] * 99, 1)], [False, False, True], id="one in a hundred"),
        pytest.param([sample(*[0] * 100, 1)], [False, True, True], id="less than that"),
    ],
)
def test_scarce_classes_are_those_without_labels_of_the_camera(
    samples: list[TrainingSample], expected: list[bool]
) -> None:
    assert scarce_classes(samples, 3).tolist() == expected


def test_a_place_where_the_start_sees_a_scarce_class_is_unknown() -> None:
    scores = torch.tensor([[0.9, 0.05], [0.0, 0.3], [0.0, 0.0], [0.2, 0.2]])
    is_known = torch.tensor([True, True, True, False])
    assert without_scarce(is_known, scores, BLUE_IS_SCARCE).tolist() == [True, False, True, False]
    assert without_scarce(is_known, scores, torch.tensor([False, False])).tolist() == is_known.tolist()


def test_labels_of_a_scarce_class_count_all_the_same() -> None:
    wanted, start = torch.tensor([[0.8, 0.0], [0.0, 0.7]]), torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    answer = with_scarce(wanted, start, torch.tensor([0, 1]), BLUE_IS_SCARCE)
    torch.testing.assert_close(answer, torch.tensor([[0.8, 0.2], [0.0, 0.7]]))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_weights_lie_between_the_tuned_and_the_start(share: float) -> None:
    tuned, start = fresh_network(seed=1), fresh_network(seed=2)
    before = [parameter.detach().clone() for parameter in tuned.parameters()]
    untouched = [parameter.detach().clone() for parameter in start.parameters()]
    move_towards(tuned, start, share)
    for parameter, old, wanted in zip(tuned.parameters(), before, untouched, strict=True):
        torch.testing.assert_close(parameter.detach(), old + share * (wanted - old))
    assert all(torch.equal(a, b) for a, b in zip(start.parameters(), untouched, strict=True))


# --- in the losses: outputs at one place, of which the start says "something blue"


def yolox_case() -> tuple[Tensor, int, Callable[..., LossParts]]:
    reference = torch.full((1, len(GRID.centres), 7), -6.0)
    reference[0, 10, 4:] = torch.tensor([3.0, -6.0, 3.0])
    return reference, 10, lambda outputs, **more: detection_loss(outputs, GRID, more.pop("targets"), **more)


def ssdlite_case() -> tuple[Tensor, int, Callable[..., LossParts]]:
    reference = torch.zeros(1, len(ANCHORS.centres), 6)
    reference[..., 4:] = -6.0
    reference[0, 10, 4:] = torch.tensor([-6.0, 3.0])
    return reference, 10, lambda outputs, **more: ssdlite_loss(outputs, ANCHORS, more.pop("targets"), **more)


def slope_of(case: tuple[Tensor, int, Callable[..., LossParts]], outputs: Tensor, **more: Any) -> Tensor:
    """Return the (N, D) gradient of the loss of an empty picture that was seen entirely."""
    reference, _, loss = case
    outputs = outputs.clone().requires_grad_()
    empty = Target(
        torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.ones(reference.shape[1], dtype=torch.bool)
    )
    arguments = {"targets": [empty], "reference": reference, "distill_weight": 1.0, **more}
    (slope,) = torch.autograd.grad(loss(outputs, **arguments).total, outputs)
    return slope[0]


CASES = pytest.mark.parametrize("make", [yolox_case, ssdlite_case], ids=["yolox", "ssdlite"])


@CASES
def test_the_start_itself_is_not_pulled_away_from_a_scarce_class(
    make: Callable[[], tuple[Tensor, int, Callable[..., LossParts]]],
) -> None:
    case = make()
    reference, place, _ = case
    kept = slope_of(case, reference, scarce=BLUE_IS_SCARCE)
    assert kept[place].abs().max() < 1e-6
    assert slope_of(case, reference, scarce=None)[place].abs().max() > 0.1
    assert slope_of(case, reference, scarce=~BLUE_IS_SCARCE)[place].abs().max() > 0.1


@CASES
def test_what_was_lost_is_pulled_back(make: Callable[[], tuple[Tensor, int, Callable[..., LossParts]]]) -> None:
    case = make()
    reference, place, _ = case
    lost = torch.where(reference > 0, reference.new_tensor(-3.0), reference)
    slope = slope_of(case, lost, scarce=BLUE_IS_SCARCE)[place]
    assert slope[-1] < -0.1  # a step against it raises the score of blue
    assert slope_of(case, lost, scarce=None)[place, :-1].min() >= -1e-6


@CASES
def test_without_weight_nothing_is_spared(make: Callable[[], tuple[Tensor, int, Callable[..., LossParts]]]) -> None:
    case = make()
    reference = case[0]
    plain = slope_of(case, reference, distill_weight=0.0)
    torch.testing.assert_close(slope_of(case, reference, distill_weight=0.0, scarce=BLUE_IS_SCARCE), plain)
    torch.testing.assert_close(slope_of(case, reference, reference=None, scarce=BLUE_IS_SCARCE), plain)


@CASES
def test_at_a_labelled_object_scarce_classes_follow_the_start(
    make: Callable[[], tuple[Tensor, int, Callable[..., LossParts]]],
) -> None:
    reference, _, loss = make()
    reference = torch.full_like(reference, 0.0)
    box = torch.tensor([[8.0, 8.0, 40.0, 40.0]])
    nothing_known = torch.zeros(reference.shape[1], dtype=torch.bool)
    red = Target(box, torch.tensor([0]), nothing_known)
    slopes = []
    for scarce in (None, BLUE_IS_SCARCE):
        outputs = reference.clone().requires_grad_()
        parts = loss(outputs, targets=[red], reference=reference, distill_weight=1.0, scarce=scarce)
        slopes.append(torch.autograd.grad(parts.classes, outputs)[0][0])
    blue, red_column = slice(reference.shape[2] - 1, None), reference.shape[2] - 2
    assert slopes[0][:, blue].max() > 0.05
    assert slopes[1][:, blue].abs().max() < 1e-6
    torch.testing.assert_close(slopes[0][:, red_column], slopes[1][:, red_column])


def test_a_training_returns_weights_between_the_start_and_what_it_learnt() -> None:
    def result(keep_start: float) -> list[Tensor]:
        answers = iter((0.1, 0.2))
        config = TrainingConfig(
            layers="box", n_epochs=1, min_steps_per_epoch=2, max_steps_per_epoch=2, n_threads=1, keep_start=keep_start
        )
        samples = [coloured_sample(1, (32, 32), n_objects=1)]
        tuned = tune(fresh_network(), samples, config, input_size_wh=(32, 32), validate=lambda _: next(answers))
        return [parameter.detach() for parameter in tuned.network.parameters()]

    start = [parameter.detach() for parameter in fresh_network().parameters()]
    changed = False
    for learnt, between, old in zip(result(0.0), result(0.25), start, strict=True):
        torch.testing.assert_close(between, learnt + 0.25 * (old - learnt))
        changed |= not torch.equal(learnt, old)
    assert changed
