"""Who is punished for what: known background, unknown places, and the pull towards the starting model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from edge_autotuner.config import AugmentationConfig
from edge_autotuner.models.yolox import CellGrid, Yolox, decode_boxes
from edge_autotuner.training import BatchMaker, Target, assign, detection_loss, losses
from support.cameras.coloured_scene import sample_of

GRID = CellGrid.of_input(64, 64)
N_CELLS = 84
OBJECTNESS = 4


def random_logits(seed: int = 0, *, batch: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, N_CELLS, 7, generator=generator, dtype=dtype).requires_grad_()


def target(boxes: list[list[float]], *, is_known: Tensor | None = None, dtype: torch.dtype = torch.float32) -> Target:
    known = torch.ones(N_CELLS, dtype=torch.bool) if is_known is None else is_known
    class_ids = torch.arange(len(boxes), dtype=torch.int64) % 2
    return Target(torch.tensor(boxes, dtype=dtype).reshape(-1, 4), class_ids, known)


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    (result,) = torch.autograd.grad(loss, logits, retain_graph=True)
    return result


def positive_cells(logits: Tensor, labels: Target) -> list[int]:
    return assign(decode_boxes(logits.detach(), GRID)[0], logits.detach()[0], GRID, labels).cells.tolist()


BOXES = [[10.0, 12.0, 30.0, 40.0], [35.0, 5.0, 60.0, 25.0]]


def test_unknown_cells_take_no_part() -> None:
    logits = random_logits()
    is_known = torch.rand(N_CELLS, generator=torch.Generator().manual_seed(1)) < 0.5
    labels = target(BOXES, is_known=is_known)
    positive = positive_cells(logits, labels)
    silent = ~is_known
    silent[positive] = False
    slope = gradient(detection_loss(logits, GRID, [labels]).total, logits)[0]
    assert int(silent.sum()) > 20
    assert (slope[silent] == 0).all()
    counted = ~silent
    assert (slope[counted, OBJECTNESS] != 0).all()


def test_a_positive_cell_counts_even_where_the_teacher_did_not_look() -> None:
    logits = random_logits()
    labels = target(BOXES, is_known=torch.zeros(N_CELLS, dtype=torch.bool))
    slope = gradient(detection_loss(logits, GRID, [labels]).objectness, logits)[0, :, OBJECTNESS]
    positive = positive_cells(logits, labels)
    assert slope.nonzero().squeeze(1).tolist() == positive
    assert (slope[positive] < 0).all()  # pushed up


def test_a_parked_car_in_an_unlooked_place_is_not_trained_away() -> None:
    """The teacher looked at the left half, where something moved; the car stands on the right."""
    image = np.full((64, 64, 3), 120, np.uint8)
    image[20:44, 40:60] = (30, 30, 200)
    sample = sample_of(
        image,
        boxes_xyxy=np.array([[6, 8, 22, 26]], np.float32),
        looked_xyxy=np.array([[0, 0, 32, 64]], np.float32),
    )
    still = AugmentationConfig(flip=0, scale=0, translate=0, brightness=0, contrast=0, saturation=0)
    torch.manual_seed(0)
    network = Yolox("yolox-nano", 2)
    batch = BatchMaker([sample], (64, 64), network=network, augmentation=still, seed=0).batch([0], epoch=0, step=0)
    logits = network(batch.images)
    slope = gradient(detection_loss(logits, GRID, batch.targets).objectness, logits)[0, :, OBJECTNESS]
    centres = GRID.centres
    at_the_car = (centres[:, 0] > 40) & (centres[:, 0] < 60) & (centres[:, 1] > 20) & (centres[:, 1] < 44)
    seen_street = (centres[:, 0] < 32) & (centres[:, 1] > 40)
    assert int(at_the_car.sum()) == 4 + 2  # of the strides 8 and 16
    assert (slope[at_the_car] == 0).all()
    assert (slope[seen_street] > 0).all()  # pushed down


@pytest.mark.parametrize("is_known", [True, False])
def test_no_labels_give_a_finite_loss_with_a_gradient(is_known: bool) -> None:
    logits = random_logits(batch=2)
    known = torch.full((N_CELLS,), is_known)
    parts = detection_loss(logits, GRID, [target([], is_known=known), target([], is_known=known)])
    slope = gradient(parts.total, logits)
    assert (parts.n_positive, parts.box.item(), parts.classes.item()) == (0, 0, 0)
    expected = functional.softplus(logits[..., OBJECTNESS]).sum() if is_known else torch.zeros(())
    assert parts.total.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.isfinite(slope).all()
    assert bool((slope[..., OBJECTNESS] > 0).all()) == is_known


def test_an_empty_batch_costs_nothing() -> None:
    logits = random_logits(batch=1)[:0]
    parts = detection_loss(logits, GRID, [])
    assert (parts.total.item(), parts.n_positive) == (0, 0)
    assert parts.total.requires_grad


def test_gradients_agree_with_finite_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    """The assignment is a choice and has no gradient: it is held still, as its overlaps are in the class target."""
    logits = random_logits(3, dtype=torch.float64)
    is_known = torch.rand(N_CELLS, generator=torch.Generator().manual_seed(2)) < 0.6
    labels = target(BOXES, is_known=is_known, dtype=torch.float64)
    reference = random_logits(4, dtype=torch.float64).detach()
    fixed = assign(decode_boxes(logits.detach(), GRID)[0], logits.detach()[0], GRID, labels)
    assert len(fixed.cells) >= 2
    monkeypatch.setattr(losses, "assign", lambda *_: fixed)

    def total(x: Tensor) -> Tensor:
        return detection_loss(x, GRID, [labels], reference=reference, distill_weight=0.7).total

    assert torch.autograd.gradcheck(total, logits, eps=1e-6, atol=1e-6, rtol=1e-4)


def test_distillation_pulls_only_where_labels_are_silent() -> None:
    logits, reference = random_logits(5), random_logits(6).detach()
    is_known = torch.rand(N_CELLS, generator=torch.Generator().manual_seed(1)) < 0.5
    labels = target(BOXES, is_known=is_known)
    is_positive = torch.zeros(N_CELLS, dtype=torch.bool)
    is_positive[positive_cells(logits, labels)] = True
    parts = detection_loss(logits, GRID, [labels], reference=reference, distill_weight=1.0)
    slope = gradient(parts.distillation, logits)[0]
    assert (slope[is_positive] == 0).all()
    assert (slope[:, :OBJECTNESS] == 0).all()  # boxes are free
    assert (slope[is_known, OBJECTNESS] == 0).all()
    silent = ~is_known & ~is_positive
    towards = torch.sign(logits[0] - reference[0])
    assert (torch.sign(slope[silent, OBJECTNESS]) == towards[silent, OBJECTNESS]).all()
    assert (torch.sign(slope[~is_positive, 5:]) == towards[~is_positive, 5:]).all()


def test_a_student_equal_to_the_start_is_not_pulled() -> None:
    logits = random_logits(5)
    unknown = torch.zeros(N_CELLS, dtype=torch.bool)
    parts = detection_loss(
        logits, GRID, [target([], is_known=unknown)], reference=logits.detach().clone(), distill_weight=1.0
    )
    assert gradient(parts.distillation, logits).abs().max() < 1e-6
    assert parts.distillation.item() > 1  # the entropy of the reference, which has no gradient


def test_distillation_is_weighted_by_what_the_start_sees() -> None:
    """Both say one half for all classes; where the start sees an object for sure, that costs 2 ln 2 a cell."""
    logits = torch.zeros(1, N_CELLS, 7)
    reference = torch.zeros(1, N_CELLS, 7)
    reference[..., OBJECTNESS] = -100.0
    reference[0, 7, OBJECTNESS] = 100.0
    parts = detection_loss(logits, GRID, [target([])], reference=reference, distill_weight=3.0)
    assert parts.distillation.item() == pytest.approx(3 * 2 * math.log(2))
    without = detection_loss(logits, GRID, [target([])], reference=reference, distill_weight=0.0)
    assert without.distillation.item() == 0
