"""The YOLOX loss with SimOTA assignment, for labels that do not cover the whole picture.

A cell is one of three things: responsible for a labelled object; *known* to be background because the teacher
looked there and found nothing; or *unknown*, and then it takes no part in the loss. Without the third kind, a
parked car outside the motion regions would be trained away.

Source: Ge et al., YOLOX, arXiv 2107.08430, section 2.3 (SimOTA, decoupled losses). The mask of unknown cells is
ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from edge_autotuner.models.yolox import CellGrid, decode_boxes
from edge_autotuner.training.overlaps import aligned_iou, pairwise_iou
from edge_autotuner.training.targets import Assignment, LossParts, Target

_CENTRE_RADIUS = 2.5  # cells; of the official implementation
_IOU_COST_WEIGHT = 3.0
_OUTSIDE_COST = 1e5
_MAX_DYNAMIC_K = 10
_BOX_LOSS_WEIGHT = 5.0


def detection_loss(
    logits: Tensor,
    grid: CellGrid,
    targets: Sequence[Target],
    *,
    reference: Tensor | None = None,
    distill_weight: float = 0.0,
) -> LossParts:
    """Compare a network's output with the labels.

    Args:
        logits: (B, N, 5 + C), as `Yolox` returns.
        grid: the cells of the input size.
        targets: one per picture.
        reference: (B, N, 5 + C) logits of the starting model, for distillation.
        distill_weight: weight of the pull towards `reference` at cells that no label claims.

    Returns:
        Scalars with gradients.
    """
    boxes = decode_boxes(logits, grid)
    assignments = [assign(boxes[i], logits[i], grid, target) for i, target in enumerate(targets)]
    n_positive = sum(len(a.cells) for a in assignments)
    zero = logits.sum() * 0.0
    box, objectness, classes, distillation = zero, zero, zero, zero
    for i, (target, assigned) in enumerate(zip(targets, assignments, strict=True)):
        is_positive = torch.zeros(len(grid.strides), dtype=torch.bool)
        is_positive[assigned.cells] = True
        objectness = objectness + _objectness_loss(logits[i], target, assigned, is_positive)
        if len(assigned.cells):
            box = box + _box_loss(boxes[i], target, assigned)
            classes = classes + _class_loss(logits[i], target, assigned)
        if reference is not None and distill_weight:
            distillation = distillation + _distillation_loss(logits[i], reference[i], is_positive, target.is_known)
    scale = 1.0 / max(n_positive, 1)
    parts = [_BOX_LOSS_WEIGHT * box, objectness, classes, distill_weight * distillation]
    scaled = [part * scale for part in parts]
    return LossParts(sum(scaled, zero), scaled[0], scaled[1], scaled[2], scaled[3], n_positive)


@torch.no_grad()
def assign(boxes: Tensor, logits: Tensor, grid: CellGrid, target: Target) -> Assignment:
    """Choose positive cells by SimOTA.

    Args:
        boxes: (N, 4) decoded boxes of one picture, input pixels.
        logits: (N, 5 + C) of the same picture.
        grid: the cells.
        target: its labels; no labels give an empty assignment.

    Returns:
        At least one cell for each object that has a cell centre near it, unless all its cells fit other objects
        better; a cell serves one object.
    """
    nothing = torch.zeros(0, dtype=torch.int64)
    if len(target.boxes_xyxy) == 0:
        return Assignment(nothing, nothing, torch.zeros(0))
    in_box, in_centre = _cells_near(target.boxes_xyxy, grid)
    candidates = (in_box | in_centre).any(dim=0).nonzero().squeeze(1)  # (M,)
    if len(candidates) == 0:
        return Assignment(nothing, nothing, torch.zeros(0))
    ious = pairwise_iou(target.boxes_xyxy, boxes[candidates])  # (G, M)
    is_good = (in_box & in_centre)[:, candidates]
    cost = _class_cost(logits[candidates], target.class_ids) - _IOU_COST_WEIGHT * torch.log(ious + 1e-8)
    cost = cost + _OUTSIDE_COST * (~is_good)
    is_reachable = (in_box | in_centre).any(dim=1, keepdim=True)  # (G, 1): an object outside the input claims nothing
    chosen = _choose_dynamic_k(cost, ious) & is_reachable  # (G, M)
    contested = chosen.sum(dim=0) > 1
    if contested.any():
        best = cost[:, contested].argmin(dim=0)
        chosen[:, contested] = functional.one_hot(best, len(cost)).T.bool()
    picked = chosen.any(dim=0)
    objects = chosen[:, picked].float().argmax(dim=0)
    return Assignment(candidates[picked], objects, ious[objects, picked.nonzero().squeeze(1)])


def _cells_near(boxes: Tensor, grid: CellGrid) -> tuple[Tensor, Tensor]:
    """Return (G, N) masks: centre inside the box, centre within the radius of the box's centre."""
    centres = grid.centres[None]  # (1, N, 2)
    inside = (centres > boxes[:, None, :2]) & (centres < boxes[:, None, 2:])
    middle = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2  # (G, 1, 2)
    near = (centres - middle).abs() < _CENTRE_RADIUS * grid.strides[None]
    return inside.all(dim=2), near.all(dim=2)


def _class_cost(logits: Tensor, class_ids: Tensor) -> Tensor:
    """Return (G, M): cross entropy of sqrt(objectness * class) against each object's class."""
    probability = (logits[:, 4:5].sigmoid() * logits[:, 5:].sigmoid()).sqrt().clamp(1e-7, 1 - 1e-7)  # (M, C)
    log_p, log_q = probability.log(), (1 - probability).log()
    all_absent = -log_q.sum(dim=1)  # (M,)
    return (all_absent[:, None] + (log_q - log_p)[:, class_ids]).T


def _choose_dynamic_k(cost: Tensor, ious: Tensor) -> Tensor:
    """Give each object its k cheapest cells, k = sum of its best overlaps, at least 1."""
    n = min(_MAX_DYNAMIC_K, cost.shape[1])
    k = ious.topk(n, dim=1).values.sum(dim=1).int().clamp(min=1)  # (G,)
    cheapest = cost.topk(n, dim=1, largest=False).indices  # (G, n)
    wanted = torch.arange(n)[None] < k[:, None]
    return torch.zeros_like(cost, dtype=torch.bool).scatter_(1, cheapest, wanted)


def _objectness_loss(logits: Tensor, target: Target, assigned: Assignment, is_positive: Tensor) -> Tensor:
    weights = torch.ones_like(logits[:, 4])
    weights[assigned.cells] = target.weights_of(assigned.objects).to(weights.dtype)
    counted = is_positive | target.is_known
    return functional.binary_cross_entropy_with_logits(
        logits[counted, 4], is_positive[counted].to(logits.dtype), weight=weights[counted], reduction="sum"
    )


def _box_loss(boxes: Tensor, target: Target, assigned: Assignment) -> Tensor:
    iou = aligned_iou(boxes[assigned.cells], target.boxes_xyxy[assigned.objects])
    return ((1 - iou.square()) * target.weights_of(assigned.objects)).sum()


def _class_loss(logits: Tensor, target: Target, assigned: Assignment) -> Tensor:
    classes = logits[assigned.cells, 5:]
    wanted = functional.one_hot(target.class_ids[assigned.objects], classes.shape[1]) * assigned.ious[:, None]
    weights = target.weights_of(assigned.objects)[:, None].to(classes.dtype)
    return functional.binary_cross_entropy_with_logits(
        classes, wanted.to(classes.dtype), weight=weights, reduction="sum"
    )


def _distillation_loss(logits: Tensor, reference: Tensor, is_positive: Tensor, is_known: Tensor) -> Tensor:
    """Keep what the starting model says where the labels say nothing.

    Objectness follows it at unknown cells only; classes follow it wherever it sees something and no label
    disagrees, weighted by its objectness.
    """
    free = ~is_positive
    silent = free & ~is_known
    seen = reference[:, 4].sigmoid()
    objectness = functional.binary_cross_entropy_with_logits(logits[silent, 4], seen[silent], reduction="sum")
    class_terms = functional.binary_cross_entropy_with_logits(
        logits[free, 5:], reference[free, 5:].sigmoid(), reduction="none"
    )
    return objectness + (class_terms.sum(dim=1) * seen[free]).sum()
