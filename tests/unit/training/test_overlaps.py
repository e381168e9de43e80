"""Overlaps of boxes, by hand."""

from __future__ import annotations

import pytest
import torch

from edge_autotuner.training.overlaps import aligned_giou, aligned_iou, pairwise_iou

SQUARE = [0.0, 0.0, 10.0, 10.0]


@pytest.mark.parametrize(
    ("box", "overlap"),
    [
        pytest.param(SQUARE, 1, id="the same"),
        pytest.param([5, 0, 15, 10], 1 / 3, id="half beside"),
        pytest.param([2, 2, 7, 7], 1 / 4, id="inside"),
        pytest.param([10, 0, 20, 10], 0, id="touching"),
        pytest.param([50, 50, 60, 60], 0, id="apart"),
        pytest.param([5, 5, 5, 5], 0, id="a point"),
        pytest.param([7, 7, 2, 2], 0, id="inside out"),
    ],
)
def test_overlaps(box: list[float], overlap: float) -> None:
    a, b = torch.tensor([SQUARE]), torch.tensor([box], dtype=torch.float32)
    assert aligned_iou(a, b).tolist() == pytest.approx([overlap])
    assert pairwise_iou(a, b).tolist() == [pytest.approx([overlap])]


def test_pairs_are_all_of_the_first_with_all_of_the_second() -> None:
    a = torch.tensor([SQUARE, [5, 0, 15, 10]])
    b = torch.tensor([[5, 0, 15, 10], [0, 0, 5, 10], SQUARE])
    assert pairwise_iou(a, b).tolist() == [pytest.approx([1 / 3, 1 / 2, 1]), pytest.approx([1, 0, 1 / 3])]


def test_no_boxes_have_no_overlaps() -> None:
    nothing = torch.zeros(0, 4)
    assert pairwise_iou(nothing, torch.tensor([SQUARE])).shape == (0, 1)
    assert aligned_iou(nothing, nothing).shape == (0,)


def test_a_box_is_pulled_towards_the_other() -> None:
    box = torch.tensor([[4.0, 1.0, 12.0, 9.0]], requires_grad=True)
    aligned_iou(box, torch.tensor([SQUARE])).sum().backward()  # type: ignore[no-untyped-call]
    assert box.grad is not None
    assert box.grad[0, 2] < 0  # its right side stands out
    assert box.grad[0, 0] < 0  # its left side is too far right


@pytest.mark.parametrize(
    ("box", "overlap"),
    [
        pytest.param(SQUARE, 1, id="the same"),
        pytest.param([5, 0, 15, 10], 1 / 3, id="half beside: the box around both is filled"),
        pytest.param([2, 2, 7, 7], 1 / 4, id="inside"),
        pytest.param([10, 0, 20, 10], 0, id="touching"),
        pytest.param([20, 0, 30, 10], -1 / 3, id="apart"),
        pytest.param([10, 10, 20, 20], -1 / 2, id="touching with a corner"),
        pytest.param([5, 5, 5, 5], 0, id="a point"),
    ],
)
def test_generalized_overlaps(box: list[float], overlap: float) -> None:
    a, b = torch.tensor([SQUARE]), torch.tensor([box], dtype=torch.float32)
    assert aligned_giou(a, b).tolist() == pytest.approx([overlap], abs=1e-6)
    pairs = aligned_giou(torch.cat((b, a))[:, None], torch.cat((a, b)))  # (2, 2)
    assert pairs.flatten().tolist() == pytest.approx([overlap, aligned_giou(b, b).item(), 1, overlap], abs=1e-6)
