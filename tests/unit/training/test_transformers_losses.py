"""Which way the loss of RT-DETR v2 and D-FINE pulls; needs no transformers library."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from edge_autotuner.training import LossParts, Target
from edge_autotuner.training.transformers_losses import Answers, PictureCells, detr_loss, match_queries

pytest.importorskip("scipy", reason="scipy comes with the extra 'transformers'")

CELLS = PictureCells((64, 64))
ALL_KNOWN, NOTHING_KNOWN = torch.ones(64, dtype=torch.bool), torch.zeros(64, dtype=torch.bool)
LEFT_TOP, RIGHT_BOTTOM, MIDDLE = [0.25, 0.25, 0.25, 0.25], [0.75, 0.75, 0.25, 0.25], [0.5, 0.5, 0.5, 0.5]
OBJECT = [[8.0, 8.0, 24.0, 24.0]]  # what LEFT_TOP says


def outputs_of(boxes: list[list[float]], logits: list[list[float]], n_stages: int = 1) -> Tensor:
    """Return (1, N, L * (4 + C)) outputs with equal stages."""
    rows = torch.cat((torch.tensor(boxes), torch.tensor(logits)), dim=1)
    return rows.repeat(1, n_stages)[None].requires_grad_()


def target(
    boxes: list[list[float]], class_ids: list[int], known: Tensor = ALL_KNOWN, weights: Tensor | None = None
) -> Target:
    return Target(torch.tensor(boxes).reshape(-1, 4), torch.tensor(class_ids, dtype=torch.int64), known, weights)


def loss_of(outputs: Tensor, labels: Target, **more: object) -> LossParts:
    return detr_loss(outputs, 2, CELLS, [labels], **more)  # type: ignore[arg-type]


def slope_of(loss: Tensor, outputs: Tensor) -> Tensor:
    (slope,) = torch.autograd.grad(loss, outputs, retain_graph=True)
    return slope[0]


def test_places_are_cells_of_eight_pixels() -> None:
    cells = PictureCells((32, 16))
    assert cells.centres.tolist() == [[4, 4], [12, 4], [20, 4], [28, 4], [4, 12], [12, 12], [20, 12], [28, 12]]
    is_known = torch.tensor([True, False, False, False, False, False, True, False])
    boxes = torch.tensor(
        [[0.1, 0.1, 0, 0], [0.3, 0.1, 0, 0], [0.6, 0.9, 0, 0], [-3, -3, 0, 0], [2, 0.2, 0, 0], [0.74, 1, 0, 0]]
    )
    assert cells.at(boxes, is_known).tolist() == [True, False, True, True, False, True]


def test_the_loss_of_one_query_by_hand() -> None:
    """The box is half as wide as the object's, and the score 50 %: all parts follow from the papers' formulas."""
    outputs = outputs_of([[0.25, 0.25, 0.125, 0.25]], [[0.0, 0.0]])
    parts = loss_of(outputs, target(OBJECT, [1]))
    entropy = math.log(2)
    assert parts.box.item() == pytest.approx(5 * 0.125 + 2 * (1 - 0.5))
    # the class of the object is pulled to its overlap, 1/2, with that weight; the other to 0, with 3/4 of 1/2 squared
    assert parts.classes.item() == pytest.approx(0.5 * entropy + 0.75 * 0.25 * entropy)
    assert parts.total.item() == pytest.approx(parts.box.item() + parts.classes.item())
    assert (parts.objectness.item(), parts.distillation.item(), parts.n_positive) == (0, 0, 1)


def test_every_stage_has_its_own_loss() -> None:
    one, three = (loss_of(outputs_of([LEFT_TOP, MIDDLE], [[0.0, 1.0]] * 2, n), target(OBJECT, [1])) for n in (1, 3))
    assert three.total.item() == pytest.approx(3 * one.total.item())
    assert three.n_positive == one.n_positive == 1


@pytest.mark.parametrize(
    ("boxes", "class_ids", "expected"),
    [
        pytest.param([], [], [], id="no objects"),
        pytest.param(OBJECT, [0], [0], id="the nearest"),
        pytest.param([[8, 8, 24, 24], [40, 40, 56, 56]], [0, 0], [0, 1], id="two"),
        pytest.param([[40, 40, 56, 56], [8, 8, 24, 24]], [0, 0], [1, 0], id="in the other order"),
        pytest.param([[8, 8, 24, 24], [8, 8, 24, 24]], [0, 1], [0, 2], id="the same place twice: one for each"),
        pytest.param([[8, 8, 24, 24]] * 4, [0] * 4, [0, 1, 2], id="more objects than queries"),
        pytest.param([[100, 100, 120, 120]], [0], [], id="outside the picture"),
    ],
)
def test_matching(boxes: list[list[float]], class_ids: list[int], expected: list[int]) -> None:
    """The third query is between the two others; the sum of the costs decides, not who comes first."""
    shares = torch.tensor(boxes).reshape(-1, 4) / 64
    wanted = torch.cat(((shares[:, :2] + shares[:, 2:]) / 2, shares[:, 2:] - shares[:, :2]), dim=1)
    found = Answers(torch.tensor([[LEFT_TOP, RIGHT_BOTTOM, MIDDLE]]), torch.zeros(1, 3, 2))
    assigned = match_queries(found, Target(wanted, torch.tensor(class_ids, dtype=torch.int64), ALL_KNOWN))
    assert sorted(assigned.cells.tolist()) == sorted(expected)
    if len(boxes) <= 2:
        assert {int(o): int(c) for c, o in zip(assigned.cells, assigned.objects, strict=True)} == dict(
            enumerate(expected)
        )


def test_of_two_equal_boxes_the_one_that_says_the_class_is_matched() -> None:
    found = Answers(torch.tensor([[MIDDLE, MIDDLE]]), torch.tensor([[[2.0, -2.0], [-2.0, 2.0]]]))
    wanted = Target(torch.tensor([MIDDLE]), torch.tensor([1]), ALL_KNOWN)
    assigned = match_queries(found, wanted)
    assert (assigned.cells.tolist(), assigned.objects.tolist(), assigned.ious.tolist()) == ([1], [0], [1])


def test_a_matched_query_is_pulled_to_its_object_and_the_others_to_silence() -> None:
    outputs = outputs_of([LEFT_TOP, RIGHT_BOTTOM], [[-1.0, -1.0]] * 2)
    slope = slope_of(loss_of(outputs, target([[10.0, 8.0, 26.0, 24.0]], [1])).total, outputs)
    assert slope[0, 0] < 0  # to the right
    assert slope[0, 5] < 0  # more of class 1
    assert slope[0, 4] > 0
    assert (slope[1, :4] == 0).all()
    assert (slope[1, 4:] > 0).all()


def test_what_is_known_of_a_query_is_known_of_where_it_is() -> None:
    left = CELLS.centres[:, 0] < 32
    outputs = outputs_of([LEFT_TOP, RIGHT_BOTTOM], [[0.0, 0.0]] * 2)
    slope = slope_of(loss_of(outputs, target([], [], left)).total, outputs)
    assert (slope[0, 4:] > 0).all()
    assert (slope[1] == 0).all()


def test_an_object_counts_in_an_unknown_place() -> None:
    outputs = outputs_of([LEFT_TOP, RIGHT_BOTTOM], [[0.0, 0.0]] * 2)
    slope = slope_of(loss_of(outputs, target(OBJECT, [0], NOTHING_KNOWN)).total, outputs)
    assert slope[0, 4] < 0
    assert (slope[1] == 0).all()


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_weights_of_labels(weight: float) -> None:
    outputs = outputs_of([MIDDLE], [[0.0, 0.0]])
    full = loss_of(outputs, target(OBJECT, [0], NOTHING_KNOWN))
    part = loss_of(outputs, target(OBJECT, [0], NOTHING_KNOWN, torch.tensor([weight])))
    assert part.total.item() == pytest.approx(weight * full.total.item())


def test_numbers_that_are_not_finite_do_not_break_the_matching() -> None:
    found = Answers(torch.tensor([[[math.nan] * 4, MIDDLE]]), torch.zeros(1, 2, 2))
    assigned = match_queries(found, Target(torch.tensor([MIDDLE]), torch.tensor([0]), ALL_KNOWN))
    assert assigned.cells.tolist() == [1]


# --- distillation


def test_in_unknown_places_the_start_is_followed_whatever_the_order_of_its_queries() -> None:
    outputs = outputs_of([[0.3, 0.25, 0.25, 0.25], RIGHT_BOTTOM], [[-3.0, -3.0]] * 2)
    start = outputs_of([RIGHT_BOTTOM, LEFT_TOP], [[-3.0, -3.0], [2.0, -3.0]]).detach()
    parts = loss_of(outputs, target([], [], NOTHING_KNOWN), reference=start, distill_weight=0.5)
    slope = slope_of(parts.total, outputs)
    assert parts.distillation.item() == parts.total.item() > 0
    assert slope[0, 4] < 0  # it says class 0, too
    assert slope[0, 0] > 0  # and moves to where the start sees it
    assert slope[1].abs().max() < 1e-3  # what the start does not see is no matter


def test_in_known_places_the_start_is_not_followed() -> None:
    outputs = outputs_of([LEFT_TOP, RIGHT_BOTTOM], [[-3.0, -3.0]] * 2)
    start = outputs_of([LEFT_TOP, RIGHT_BOTTOM], [[2.0, 2.0]] * 2).detach()
    assert loss_of(outputs, target([], []), reference=start, distill_weight=1.0).distillation.item() == 0


def test_the_start_itself_is_not_pulled_anywhere() -> None:
    outputs = outputs_of([LEFT_TOP, RIGHT_BOTTOM], [[1.0, -3.0], [-2.0, 0.5]], n_stages=2)
    parts = loss_of(outputs, target([], [], NOTHING_KNOWN), reference=outputs.detach(), distill_weight=1.0)
    assert slope_of(parts.total, outputs)[:, 4:6].abs().max() < 1e-6


@pytest.mark.parametrize("scarce", [None, torch.tensor([False, False]), torch.tensor([True, False])])
def test_a_scarce_class_is_kept_where_no_label_shows_it(scarce: Tensor | None) -> None:
    outputs = outputs_of([LEFT_TOP, RIGHT_BOTTOM, MIDDLE], [[-1.0, -1.0]] * 3)
    start = outputs_of([MIDDLE, RIGHT_BOTTOM, LEFT_TOP], [[-9.0, -9.0], [1.0, -9.0], [-9.0, -9.0]]).detach()
    slope = slope_of(
        loss_of(outputs, target(OBJECT, [1]), reference=start, distill_weight=1.0, scarce=scarce).total, outputs
    )
    is_kept = scarce is not None and bool(scarce[0])
    assert bool(slope[1, 4] < 0) == is_kept  # class 0, which the start sees there
    assert slope[0, 5] < 0  # the label says so
    assert (slope[2, 4:] > 0).all()  # background, as known


def test_labels_of_several_pictures_share_one_scale() -> None:
    outputs = outputs_of([LEFT_TOP, RIGHT_BOTTOM], [[0.0, 0.0]] * 2)
    twice = detr_loss(outputs.repeat(2, 1, 1), 2, CELLS, [target(OBJECT, [0])] * 2)
    once = loss_of(outputs, target(OBJECT, [0]))
    assert twice.n_positive == 2
    assert twice.total.item() == pytest.approx(once.total.item())
