"""The YOLOX loss with SimOTA assignment, for labels that do not cover the whole picture.

A cell is responsible for a labelled object; or *known* background, where the teacher looked and found nothing; or
*unknown*, and then takes no part in the loss. Otherwise a parked car outside the motion regions would be trained away.

Source: Ge et al., YOLOX, arXiv 2107.08430, section 2.3 (SimOTA, decoupled losses). The mask of unknown cells is
ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from edge_autotuner.models.yolox import CellGrid, decode_boxes
from edge_autotuner.training.distillation import follow_yolox, with_scarce, without_scarce
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
    scarce: Tensor | None = None,
) -> LossParts:
    """Compare a network's output with the labels.

    Args:
        logits: (B, N, 5 + C), as `Yolox` returns.
        grid: the cells of the input size.
        targets: one per picture.
        reference: (B, N, 5 + C) logits of the starting model, for distillation.
        distill_weight: weight of the pull towards `reference` at cells that no label claims.
        scarce: (C,) bool, the classes that follow `reference` wherever no label shows them; None: none.

    Returns:
        Scalars with gradients.
    """
    start = reference if distill_weight else None
    logits_only = logits.detach()
    all_boxes = decode_boxes(logits_only, grid)  # without a gradient: only positive cells are decoded with one
    assignments = [assign(all_boxes[i], logits_only[i], grid, target) for i, target in enumerate(targets)]
    n_positive = sum(len(a.cells) for a in assignments)
    zero = logits.sum() * 0.0
    box, objectness, classes, distillation = zero, zero, zero, zero
    if targets:
        is_positive, weights = _marks(assignments, targets, logits)
        is_known = torch.stack([target.is_known for target in targets])  # (B, N)
        if start is not None and scarce is not None:
            is_known = without_scarce(is_known, start[..., 4:5].sigmoid() * start[..., 5:].sigmoid(), scarce)
        objectness = _objectness_loss(logits, is_positive, is_known, weights)
        if start is not None:
            distillation = follow_yolox(logits, start, is_positive, is_known)
    if n_positive:
        box, classes = _positive_losses(logits, grid, targets, assignments, start, scarce)
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
    if len(target.boxes_xyxy) == 0:
        return _nothing(boxes)
    in_box, in_centre = _cells_near(target.boxes_xyxy, grid)
    is_near = in_box | in_centre  # (G, N)
    candidates = is_near.any(dim=0).nonzero().squeeze(1)  # (M,)
    if len(candidates) == 0:
        return _nothing(boxes)
    ious = pairwise_iou(target.boxes_xyxy, boxes[candidates])  # (G, M)
    is_good = (in_box & in_centre)[:, candidates]
    cost = _class_cost(logits[candidates], target.class_ids) - _IOU_COST_WEIGHT * torch.log(ious + 1e-8)
    cost = cost + _OUTSIDE_COST * (~is_good)
    is_reachable = is_near.any(dim=1, keepdim=True)  # (G, 1): an object outside the input claims nothing
    chosen = _choose_dynamic_k(cost, ious) & is_reachable  # (G, M)
    contested = chosen.sum(dim=0) > 1
    if contested.any():
        best = cost[:, contested].argmin(dim=0)
        chosen[:, contested] = functional.one_hot(best, len(cost)).T.bool()
    picked = chosen.any(dim=0).nonzero().squeeze(1)
    objects = chosen[:, picked].float().argmax(dim=0)
    return Assignment(candidates[picked], objects, ious[objects, picked])


def _nothing(boxes: Tensor) -> Assignment:
    none = torch.zeros(0, dtype=torch.int64, device=boxes.device)
    return Assignment(none, none, boxes.new_zeros(0))


def _cells_near(boxes: Tensor, grid: CellGrid) -> tuple[Tensor, Tensor]:
    """Return (G, N) masks: centre inside the box, centre within the radius of the box's centre.

    One axis after the other: reductions over an axis of two are several times slower than two comparisons.
    """
    x, y = grid.centres.unbind(1)  # (N,) each
    left, top, right, bottom = boxes[:, :, None].unbind(1)  # (G, 1) each
    inside = (x > left) & (x < right) & (y > top) & (y < bottom)
    radius = _CENTRE_RADIUS * grid.strides[:, 0]
    near = ((x - (left + right) / 2).abs() < radius) & ((y - (top + bottom) / 2).abs() < radius)
    return inside, near


def _class_cost(logits: Tensor, class_ids: Tensor) -> Tensor:
    """Return (G, M): cross entropy of sqrt(objectness * class) against each object's class."""
    probability = (logits[:, 4:5].sigmoid() * logits[:, 5:].sigmoid()).sqrt().clamp(1e-7, 1 - 1e-7)  # (M, C)
    log_p, log_q = probability.log(), (1 - probability).log()
    all_absent = -log_q.sum(dim=1)  # (M,)
    return (all_absent[:, None] + (log_q - log_p)[:, class_ids]).T


def _choose_dynamic_k(cost: Tensor, ious: Tensor) -> Tensor:
    """Give each object its k cheapest cells; k is the sum of its best overlaps, at least 1."""
    n = min(_MAX_DYNAMIC_K, cost.shape[1])
    k = ious.topk(n, dim=1).values.sum(dim=1).int().clamp(min=1)  # (G,)
    cheapest = cost.topk(n, dim=1, largest=False).indices  # (G, n)
    wanted = torch.arange(n, device=k.device)[None] < k[:, None]
    return torch.zeros_like(cost, dtype=torch.bool).scatter_(1, cheapest, wanted)


def _marks(assignments: Sequence[Assignment], targets: Sequence[Target], like: Tensor) -> tuple[Tensor, Tensor]:
    """Return (B, N) the positive cells, and the label weights of all cells: 1 without a label."""
    is_positive = torch.zeros(like.shape[:2], dtype=torch.bool, device=like.device)
    weights = torch.ones(like.shape[:2], dtype=like.dtype, device=like.device)
    for i, (assigned, target) in enumerate(zip(assignments, targets, strict=True)):
        is_positive[i, assigned.cells] = True
        weights[i, assigned.cells] = target.weights_of(assigned.objects).to(like.dtype)
    return is_positive, weights


def _objectness_loss(logits: Tensor, is_positive: Tensor, is_known: Tensor, weights: Tensor) -> Tensor:
    counted = (is_positive | is_known).to(logits.dtype)
    return functional.binary_cross_entropy_with_logits(
        logits[..., 4], is_positive.to(logits.dtype), weight=weights * counted, reduction="sum"
    )


def _positive_losses(
    logits: Tensor,
    grid: CellGrid,
    targets: Sequence[Target],
    assignments: Sequence[Assignment],
    start: Tensor | None,
    scarce: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return the box and the class loss of all P positive cells of the batch."""
    pairs = list(zip(targets, assignments, strict=True))
    cells = torch.cat([assigned.cells for assigned in assignments])
    pictures = torch.cat([torch.full_like(assigned.cells, i) for i, assigned in enumerate(assignments)])
    chosen = logits[pictures, cells]  # (P, 5 + C)
    weights = torch.cat([target.weights_of(assigned.objects) for target, assigned in pairs]).to(logits.dtype)
    wanted_boxes = torch.cat([target.boxes_xyxy[assigned.objects] for target, assigned in pairs])
    boxes = decode_boxes(chosen, CellGrid(grid.corners[cells], grid.strides[cells]))
    box = ((1 - aligned_iou(boxes, wanted_boxes).square()) * weights).sum()
    class_ids = torch.cat([target.class_ids[assigned.objects] for target, assigned in pairs])
    ious = torch.cat([assigned.ious for assigned in assignments])
    wanted = functional.one_hot(class_ids, chosen.shape[1] - 5) * ious[:, None]
    if start is not None and scarce is not None:
        wanted = with_scarce(wanted, start[pictures, cells, 5:].sigmoid(), class_ids, scarce)
    classes = functional.binary_cross_entropy_with_logits(
        chosen[:, 5:], wanted.to(logits.dtype), weight=weights[:, None], reduction="sum"
    )
    return box, classes
