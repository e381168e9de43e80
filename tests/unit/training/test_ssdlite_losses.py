"""Which way the SSDLite loss pulls."""

from __future__ import annotations

import torch
from torch import Tensor

from edge_autotuner.models.ssdlite_anchors import Anchors
from edge_autotuner.training import LossParts, Target, ssdlite_loss

ANCHORS = Anchors.of_input(64, 64)
N = len(ANCHORS.centres)
OBJECT = [[30.0, 30.0, 60.0, 60.0]]


def outputs_of(seed: int = 0) -> Tensor:
    return torch.randn(1, N, 4 + 3, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def target(boxes: list[list[float]], class_ids: list[int], known: Tensor | None = None) -> Target:
    is_known = torch.ones(N, dtype=torch.bool) if known is None else known
    return Target(torch.tensor(boxes).reshape(-1, 4), torch.tensor(class_ids, dtype=torch.int64), is_known)


def slope_of(loss: Tensor, outputs: Tensor) -> Tensor:
    (slope,) = torch.autograd.grad(loss, outputs, retain_graph=True)
    return slope[0]


def positives(slope: Tensor) -> Tensor:
    """Return the anchors whose boxes are pulled."""
    return slope[:, :4].abs().sum(dim=1).nonzero().squeeze(1)


def test_background_lowers_all_scores_and_leaves_boxes_alone() -> None:
    outputs = outputs_of()
    parts = ssdlite_loss(outputs, ANCHORS, [target([], [])])
    slope = slope_of(parts.total, outputs)
    assert parts.n_positive == 0
    assert (slope[:, :4] == 0).all()
    assert (slope[:, 4:] > 0).all()


def test_an_object_raises_the_score_of_its_class_and_lowers_the_others() -> None:
    outputs = torch.zeros(1, N, 4 + 3)
    outputs[..., 4:] = -4.0
    outputs.requires_grad_()
    parts = ssdlite_loss(outputs, ANCHORS, [target(OBJECT, [1])])
    slope = slope_of(parts.classes, outputs)
    pulled = positives(slope_of(parts.box, outputs))
    assert len(pulled) == parts.n_positive > 0
    assert (slope[pulled, 5] < 0).all()
    assert (slope[pulled][:, [4, 6]] > 0).all()
    others = torch.ones(N, dtype=torch.bool)
    others[pulled] = False
    assert (slope[others, 4:] > 0).all()


def test_a_step_downhill_brings_the_box_closer() -> None:
    outputs = torch.zeros(1, N, 4 + 3, requires_grad=True)
    before = ssdlite_loss(outputs, ANCHORS, [target([[26.0, 33.0, 63.0, 58.0]], [0])])
    (slope,) = torch.autograd.grad(before.box, outputs)
    after = ssdlite_loss(outputs.detach() - 0.01 * slope, ANCHORS, [target([[26.0, 33.0, 63.0, 58.0]], [0])])
    assert after.box < before.box


def test_easy_background_weighs_less_than_hard() -> None:
    """At a score of 1 % and of 50 % the plain entropies differ by a factor of 69, these by 172,000."""
    easy, hard = torch.full((1, N, 7), -4.595), torch.zeros(1, N, 7)
    small, large = (ssdlite_loss(x, ANCHORS, [target([], [])]).classes.item() for x in (easy, hard))
    assert 1.5e5 < large / small < 2e5


def test_distillation_pulls_towards_the_reference_only_where_labels_are_silent() -> None:
    outputs, reference = outputs_of(1), outputs_of(2).detach()
    known = torch.rand(N, generator=torch.Generator().manual_seed(3)) < 0.5
    parts: LossParts = ssdlite_loss(
        outputs, ANCHORS, [target(OBJECT, [0], known)], reference=reference, distill_weight=1.0
    )
    slope = slope_of(parts.distillation, outputs)
    pulled = positives(slope_of(parts.box, outputs))
    silent = ~known
    silent[pulled] = False
    assert (slope[:, :4] == 0).all()  # boxes are free
    assert (slope[~silent] == 0).all()
    towards = torch.sign(outputs.detach() - reference)[0]
    assert (torch.sign(slope[silent, 4:]) == towards[silent, 4:]).all()
