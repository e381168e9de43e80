"""The loss of RT-DETR v2 and D-FINE, for labels that do not cover the whole picture.

A query is responsible for a labelled object, or its box's centre is in a cell that is *known* background, or in an
unknown one, and then the query takes no part. Queries move, so this is decided anew in each stage.

Sources: Zhao et al., RT-DETR, arXiv 2304.08069 (matching, weights of the parts, a loss for each decoder layer and for
the encoder's proposals); Carion et al., DETR, arXiv 2005.12872 (one-to-one matching); Zhang et al., VarifocalNet,
arXiv 2008.13367 (class scores as quality). Differs: no denoising queries, and for D-FINE neither the loss of its corner
distributions nor the one between its layers (arXiv 2410.13842, FGL and GO-LSD). The known cells are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edge_autotuner.core.types import SizeWH
from edge_autotuner.models.transformers_detr import corners_of
from edge_autotuner.training.distillation import without_scarce
from edge_autotuner.training.overlaps import aligned_giou, aligned_iou
from edge_autotuner.training.targets import Assignment, LossParts, Target

_CELL_PX = 8  # the finest map of these detectors
_L1_WEIGHT, _GIOU_WEIGHT, _CLASS_WEIGHT = 5.0, 2.0, 1.0
_CLASS_COST = 2.0
_FOCAL_ALPHA, _FOCAL_GAMMA = 0.25, 2.0  # of the matching
_VARIFOCAL_ALPHA = 0.75
_FOCUS = 2.0


@dataclass(frozen=True)
class PictureCells:
    """The cells of a picture, known or unknown.

    Attributes:
        size_wh: of the picture, pixels; multiples of the cells' side.
    """

    size_wh: SizeWH

    @property
    def centres(self) -> Tensor:
        """(M, 2) centres of all cells, pixels, row by row."""
        columns, rows = (side // _CELL_PX for side in self.size_wh)
        ys, xs = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        return (torch.stack((xs, ys), dim=-1).reshape(-1, 2) + 0.5) * _CELL_PX

    def at(self, boxes: Tensor, is_known: Tensor) -> Tensor:
        """Return (N,) whether the cell with each box's centre is known.

        Args:
            boxes: (N, 4) centre and size in shares of the picture; outside, the nearest cell counts.
            is_known: (M,) bool.
        """
        columns, rows = (side // _CELL_PX for side in self.size_wh)
        column = (boxes[:, 0] * columns).long().clamp(0, columns - 1)
        row = (boxes[:, 1] * rows).long().clamp(0, rows - 1)
        return is_known[row * columns + column]


@dataclass(frozen=True)
class Answers:
    """Predictions of queries for one picture.

    Attributes:
        boxes: (..., 4) centre and size, shares of the picture.
        logits: (..., C) class scores.
    """

    boxes: Tensor
    logits: Tensor

    def of(self, chosen: Tensor | int) -> Answers:
        """Return the predictions of some queries; `chosen` indexes the first axis."""
        return Answers(self.boxes[chosen], self.logits[chosen])

    @property
    def in_one_row(self) -> Answers:
        """The same of (L, N, ...) queries as (L * N, ...), stage after stage."""
        return Answers(self.boxes.flatten(0, 1), self.logits.flatten(0, 1))


def detr_loss(
    outputs: Tensor,
    n_classes: int,
    cells: PictureCells,
    targets: Sequence[Target],
    *,
    reference: Tensor | None = None,
    distill_weight: float = 0.0,
    scarce: Tensor | None = None,
) -> LossParts:
    """Compare a network's output with the labels.

    Args:
        outputs: (B, N, L * (4 + C)), as `TransformersDetr` returns.
        n_classes: C.
        cells: of the picture size, for `Target.is_known`.
        targets: one per picture.
        reference: outputs of the starting model, of the same shape, for distillation.
        distill_weight: weight of the pull towards what `reference` finds in unknown cells.
        scarce: (C,) bool, the classes that `reference` may also find in known cells; None: none.

    Returns:
        Scalars with gradients, summed over the stages and divided by the labelled objects; objectness is zero.
    """
    zero = outputs.sum() * 0.0
    box, classes, distillation, n_positive = zero, zero, zero, 0
    for i, target in enumerate(targets):
        found, wanted = _stages_of(outputs[i], n_classes), _as_shares(target, cells.size_wh, outputs.dtype)
        assigned = match_queries(found, wanted)
        is_counted = cells.at(found.boxes.flatten(0, 1), target.is_known)
        is_counted[assigned.cells] = True
        if reference is not None and distill_weight:
            start = _stages_of(reference[i], n_classes)
            kept = _kept_of_start(start, found, assigned, cells, target, scarce)
            is_counted[kept.spared] = False
            distillation = distillation + _distillation_loss(found, start, is_counted, kept.is_seen)
        box = box + _box_loss(found.in_one_row, wanted, assigned)
        classes = classes + _class_loss(found.in_one_row, wanted, assigned, is_counted)
        n_positive += len(assigned.cells) // len(found.boxes)
    scale = 1.0 / max(n_positive, 1)
    scaled = [part * scale for part in (box, classes, distill_weight * distillation)]
    return LossParts(sum(scaled, zero), scaled[0], zero, scaled[1], scaled[2], n_positive)


@torch.no_grad()
def match_queries(found: Answers, wanted: Target) -> Assignment:
    """Give each object one query of each stage, so that the sum of a stage's costs is least (Hungarian matching).

    Args:
        found: predictions, (L, N, ...).
        wanted: labels with boxes in shares of the picture, as centre and size.

    Returns:
        Of every stage, one query for each object whose centre is in the picture, or all queries where objects are
        more; as indices into the queries of all stages, stage after stage.
    """
    n_queries = found.boxes.shape[1]
    centres = wanted.boxes_xyxy[:, :2]
    reachable = ((centres >= 0) & (centres <= 1)).all(dim=1).nonzero().squeeze(1)
    boxes, class_ids = wanted.boxes_xyxy[reachable], wanted.class_ids[reachable]
    cost = _box_cost(found.boxes, boxes) + _CLASS_COST * _class_cost(found.logits, class_ids)  # (L, N, G)
    pairs = [_cheapest_pairs(of_stage) for of_stage in cost]
    cells = torch.cat([stage * n_queries + queries for stage, (queries, _) in enumerate(pairs)])
    objects = reachable[torch.cat([numbers for _, numbers in pairs])]
    matched, theirs = found.boxes.flatten(0, 1)[cells], wanted.boxes_xyxy[objects]
    return Assignment(cells, objects, aligned_iou(corners_of(matched), corners_of(theirs)))


def _as_shares(target: Target, size_wh: SizeWH, dtype: torch.dtype) -> Target:
    """Return the labels with boxes as centre and size, in shares of the picture."""
    corners = target.boxes_xyxy.to(dtype) / target.boxes_xyxy.new_tensor([*size_wh, *size_wh], dtype=dtype)
    top_left, bottom_right = corners[:, :2], corners[:, 2:]
    boxes = torch.cat(((top_left + bottom_right) / 2, bottom_right - top_left), dim=1)  # (G, 4)
    return Target(boxes, target.class_ids, target.is_known, target.weights)


def _stages_of(outputs: Tensor, n_classes: int) -> Answers:
    """Return (N, L * (4 + C)) outputs of one picture as (L, N, ...) predictions."""
    stages = outputs.reshape(len(outputs), -1, 4 + n_classes).transpose(0, 1)
    return Answers(stages[..., :4], stages[..., 4:])


def _box_cost(boxes: Tensor, wanted: Tensor) -> Tensor:
    """Return (..., N, G): the distance of each box from each wanted one."""
    pairs = boxes[..., None, :], wanted
    distance = (pairs[0] - pairs[1]).abs().sum(dim=-1)
    return _L1_WEIGHT * distance - _GIOU_WEIGHT * aligned_giou(corners_of(pairs[0]), corners_of(pairs[1]))


def _class_cost(logits: Tensor, class_ids: Tensor) -> Tensor:
    """Return (..., N, G): focal loss of saying each object's class, less that of not saying it."""
    p = logits.sigmoid()[..., class_ids]
    present = _FOCAL_ALPHA * (1 - p).pow(_FOCAL_GAMMA) * -(p + 1e-8).log()
    absent = (1 - _FOCAL_ALPHA) * p.pow(_FOCAL_GAMMA) * -(1 - p + 1e-8).log()
    return present - absent


def _cheapest_pairs(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows, rising, and columns of the one-to-one pairs of least cost; numbers that are not finite come last."""
    from scipy.optimize import linear_sum_assignment  # of an extra, and slow to load

    finite = torch.nan_to_num(cost, nan=1e9, posinf=1e9, neginf=-1e9)
    rows, columns = linear_sum_assignment(finite.cpu().numpy())
    return torch.from_numpy(rows).to(cost.device), torch.from_numpy(columns).to(cost.device)


def _box_loss(found: Answers, wanted: Target, assigned: Assignment) -> Tensor:
    losses = _box_losses(found.boxes[assigned.cells], wanted.boxes_xyxy[assigned.objects])
    return (losses * wanted.weights_of(assigned.objects).to(losses.dtype)).sum()


def _box_losses(boxes: Tensor, wanted: Tensor) -> Tensor:
    """Return (P,) losses of boxes against those of the same row."""
    distance = (boxes - wanted).abs().sum(dim=1)
    return _L1_WEIGHT * distance + _GIOU_WEIGHT * (1 - aligned_giou(corners_of(boxes), corners_of(wanted)))


def _class_loss(found: Answers, wanted: Target, assigned: Assignment, is_counted: Tensor) -> Tensor:
    """Pull the score of a matched query's class towards its overlap, and other counted scores towards zero."""
    quality, weights = torch.zeros_like(found.logits), is_counted.to(found.logits.dtype)
    class_ids = wanted.class_ids[assigned.objects]
    quality[assigned.cells, class_ids] = assigned.ious.to(quality.dtype)
    weights[assigned.cells] = wanted.weights_of(assigned.objects).to(weights.dtype)
    focus = _VARIFOCAL_ALPHA * found.logits.sigmoid().pow(_FOCUS)
    focus[assigned.cells, class_ids] = assigned.ious.to(focus.dtype)
    entropy = functional.binary_cross_entropy_with_logits(found.logits, quality, reduction="none")
    return _CLASS_WEIGHT * ((entropy * focus).sum(dim=1) * weights).sum()


@dataclass(frozen=True)
class _Kept:
    """Queries of the start to keep, as an (L, N) mask, and indices of the queries spared for them."""

    is_seen: Tensor
    spared: Tensor


@torch.no_grad()
def _kept_of_start(
    start: Answers, found: Answers, assigned: Assignment, cells: PictureCells, target: Target, scarce: Tensor | None
) -> _Kept:
    """Find the queries of the start in unknown cells, or with a scarce class.

    For each query with a scarce class in a known cell, the nearest query without object is spared: it takes over that
    object and does not count as background.
    """
    is_silent = ~cells.at(start.boxes.flatten(0, 1), target.is_known).view(start.boxes.shape[:2])
    if scarce is None:
        return _Kept(is_silent, assigned.cells[:0])
    is_scarce = ~without_scarce(torch.ones_like(is_silent), start.logits.sigmoid(), scarce)
    is_free = torch.ones_like(is_silent)
    is_free.view(-1)[assigned.cells] = False
    spared = []
    for stage, n_queries in enumerate([len(of_stage) for of_stage in is_free]):
        free = is_free[stage].nonzero().squeeze(1)
        ours, _ = _alike(found.of(stage).of(free), start.of(stage).of(is_scarce[stage]))
        spared.append(stage * n_queries + free[ours])
    return _Kept(is_silent | is_scarce, torch.cat(spared))


@torch.no_grad()
def _alike(a: Answers, b: Answers) -> tuple[Tensor, Tensor]:
    """Return indices of the pairs, one to one, that are most alike in box and scores."""
    unlike = torch.cdist(a.logits.sigmoid(), b.logits.sigmoid(), p=1)
    return _cheapest_pairs(_box_cost(a.boxes, b.boxes) + _CLASS_COST * unlike)


def _distillation_loss(found: Answers, start: Answers, is_counted: Tensor, is_seen: Tensor) -> Tensor:
    """Follow the starting model where labels say nothing.

    Queries have no fixed order, so they are matched: each one that does not count with the nearest of the starting
    model, one to one (as in Chang et al., DETRDistill, arXiv 2211.10156). Scores follow it; boxes too, as far as it is
    sure.
    """
    total = found.logits.sum() * 0.0
    for stage, is_free in enumerate(~is_counted.view(is_seen.shape)):
        free, seen = found.of(stage).of(is_free), start.of(stage).of(is_seen[stage])
        ours, theirs = _alike(free, seen)
        wanted, logits = seen.logits[theirs].sigmoid(), free.logits[ours]
        entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        classes = (entropy * (logits.sigmoid() - wanted).abs().pow(_FOCUS)).sum()
        boxes = _box_losses(free.boxes[ours], seen.boxes[theirs]) * wanted.amax(dim=1)
        total = total + classes + boxes.sum()
    return total
