"""SimOTA on an input of 32x32, where every overlap can be worked out by hand.

The 21 cells are 16 of stride 8 (row by row), 4 of stride 16 and 1 of stride 32. Logits of zero are a box of one
cell's side around the cell's corner, and one half for every probability.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from edge_autotuner.models.yolox import CellGrid, decode_boxes
from edge_autotuner.training import Assignment, Target, assign, detection_loss

GRID = CellGrid.of_input(32, 32)
LN2 = math.log(2)


def target(*boxes: tuple[float, ...], class_ids: tuple[int, ...] = (), known: bool = True) -> Target:
    ids = class_ids or (0,) * len(boxes)
    return Target(torch.tensor(boxes).reshape(-1, 4), torch.tensor(ids, dtype=torch.int64), torch.full((21,), known))


def zeros() -> Tensor:
    return torch.zeros(21, 7)


def predict_in_place(logits: Tensor, cell: int, box: tuple[float, ...]) -> None:
    """Let a cell predict these corners exactly."""
    corners, stride = GRID.corners[cell], float(GRID.strides[cell])
    x1, y1, x2, y2 = box
    middle = torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2])
    logits[cell, :2] = middle / stride - corners
    logits[cell, 2:4] = torch.log(torch.tensor([x2 - x1, y2 - y1]) / stride)


def assigned(logits: Tensor, labels: Target) -> Assignment:
    return assign(decode_boxes(logits, GRID), logits, GRID, labels)


CELL_5 = (8.0, 8.0, 16.0, 16.0)  # the area of cell 5: column 1, row 1 of stride 8


def test_an_object_that_nobody_predicts_well_gets_its_own_cell() -> None:
    # Overlaps: 1/7 for cells 5, 6, 9, 10 (a quarter of each), 1/4 for the stride-16 cell at (16, 16), 1/16 for
    # stride 32. Their sum, 0.88, is below 1: one cell, and only the centre of cell 5 is inside the object.
    result = assigned(zeros(), target(CELL_5))
    assert (result.cells.tolist(), result.objects.tolist()) == ([5], [0])
    assert result.ious.tolist() == pytest.approx([1 / 7])


def test_good_predictions_get_more_cells() -> None:
    logits = zeros()
    for cell in (5, 6, 9):
        predict_in_place(logits, cell, CELL_5)
    # 3 exact ones + 1/7 + 1/4 + 1/16 = 3.46: three cells; those outside the object come after the one inside
    result = assigned(logits, target(CELL_5))
    assert (result.cells.tolist(), result.objects.tolist()) == ([5, 6, 9], [0, 0, 0])
    assert result.ious.tolist() == pytest.approx([1, 1, 1])


def test_a_cell_inside_the_object_is_preferred_to_a_better_prediction_outside() -> None:
    logits = zeros()
    predict_in_place(logits, 0, CELL_5)  # its centre (4, 4) is outside
    # 1 + 4/7 + 1/4 + 1/16 = 1.88: one cell
    assert assigned(logits, target(CELL_5)).cells.tolist() == [5]


def test_two_objects_far_apart_get_a_cell_each() -> None:
    result = assigned(zeros(), target((24.0, 0.0, 32.0, 8.0), (0.0, 24.0, 8.0, 32.0)))
    assert (result.cells.tolist(), result.objects.tolist()) == ([3, 12], [0, 1])


def test_a_contested_cell_goes_to_the_object_that_it_overlaps_more() -> None:
    # cell 5 predicts (4, 4, 12, 12): 16 of 112 shared with the first, 12 of 116 with the second
    result = assigned(zeros(), target(CELL_5, (9.0, 8.0, 17.0, 16.0)))
    assert (result.cells.tolist(), result.objects.tolist()) == ([5], [0])


def test_a_contested_cell_goes_to_the_object_of_the_class_that_it_sees() -> None:
    logits = zeros()
    logits[5, 4:] = torch.tensor([20.0, -4.0, 4.0])
    # The overlap favours the first object by 3 * ln((16/112) / (12/116)) = 0.97, the class favours the second:
    # p = sqrt(sigmoid(+-4)) = 0.991, 0.134; ln(0.991 / 0.009) + ln(0.866 / 0.134) = 6.56
    result = assigned(logits, target(CELL_5, (9.0, 8.0, 17.0, 16.0), class_ids=(0, 1)))
    assert (result.cells.tolist(), result.objects.tolist()) == ([5], [1])
    assert result.ious.tolist() == pytest.approx([12 / 116])


def test_no_objects_and_objects_outside_claim_nothing() -> None:
    far_away = (500.0, 500.0, 520.0, 520.0)
    assert assigned(zeros(), target()).cells.tolist() == []
    assert assigned(zeros(), target(far_away)).cells.tolist() == []
    beside_a_real_one = assigned(zeros(), target(far_away, CELL_5))
    assert (beside_a_real_one.cells.tolist(), beside_a_real_one.objects.tolist()) == ([5], [1])


def test_the_loss_of_one_object() -> None:
    parts = detection_loss(zeros()[None], GRID, [target(CELL_5)])
    assert parts.n_positive == 1
    assert parts.box.item() == pytest.approx(5 * (1 - 1 / 49))
    assert parts.objectness.item() == pytest.approx(21 * LN2)  # one half is equally wrong everywhere
    assert parts.classes.item() == pytest.approx(2 * LN2)
    assert parts.distillation.item() == 0
    assert parts.total.item() == pytest.approx(5 * (1 - 1 / 49) + 23 * LN2, rel=1e-6)


def test_the_class_target_is_the_overlap() -> None:
    logits = zeros()
    logits[5, 5:] = torch.tensor([2.0, -1.0])
    parts = detection_loss(logits[None], GRID, [target(CELL_5)])
    softplus = math.log1p(math.exp(2)), math.log1p(math.exp(-1))
    assert parts.classes.item() == pytest.approx(softplus[0] - 2 / 7 + softplus[1])


def test_the_loss_is_divided_by_the_positive_cells_of_the_batch() -> None:
    two = torch.stack([zeros(), zeros()])
    parts = detection_loss(two, GRID, [target(CELL_5), target(CELL_5)])
    assert parts.n_positive == 2
    assert parts.total.item() == pytest.approx(5 * (1 - 1 / 49) + 23 * LN2, rel=1e-6)
