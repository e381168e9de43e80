"""The SSDLite loss, for labels that do not cover the whole picture.

As for YOLOX, an anchor is responsible for a labelled object, *known* background, or *unknown* and ignored. There is no
objectness: class scores express the quality of the box, zero on background.

Sources: matching by overlap, Liu et al., SSD, arXiv 1512.02325, section 2.2; class scores as quality, and a loss that
needs no mining of hard background, Li et al., Generalized Focal Loss, arXiv 2006.04388; the box loss is that of YOLOX.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from edge_autotuner.models.ssdlite_anchors import Anchors, decode_boxes
from edge_autotuner.training.distillation import with_scarce, without_scarce
from edge_autotuner.training.overlaps import aligned_iou, pairwise_iou
from edge_autotuner.training.targets import Assignment, LossParts, Target

_MIN_IOU = 0.5  # of SSD: an anchor that overlaps an object by this much is positive
_BOX_LOSS_WEIGHT = 5.0
_CLASS_LOSS_WEIGHT = 3.0  # of 1 and 3, the better one on validation frames of NGSIM
_FOCUS = 2.0  # beta of the quality focal loss


def ssdlite_loss(
    outputs: Tensor,
    anchors: Anchors,
    targets: Sequence[Target],
    *,
    reference: Tensor | None = None,
    distill_weight: float = 0.0,
    scarce: Tensor | None = None,
) -> LossParts:
    """Compare a network's output with the labels.

    Args:
        outputs: (B, N, 4 + C), as `Ssdlite` returns.
        anchors: those of the input size.
        targets: one per picture.
        reference: (B, N, 4 + C) outputs of the starting model, for distillation.
        distill_weight: weight of the pull towards the class scores of `reference` at unknown anchors.
        scarce: (C,) bool, the classes that follow `reference` wherever no label shows them; None: none.

    Returns:
        Scalars with gradients; objectness is zero.
    """
    start = reference[..., 4:] if reference is not None and distill_weight else None
    boxes, logits = decode_boxes(outputs, anchors.centres, anchors.sizes), outputs[..., 4:]
    assignments = [match_anchors(boxes[i], anchors, target) for i, target in enumerate(targets)]
    n_positive = sum(len(a.cells) for a in assignments)
    zero = outputs.sum() * 0.0
    box, classes, distillation = zero, zero, zero
    for i, (target, assigned) in enumerate(zip(targets, assignments, strict=True)):
        box = box + _box_loss(boxes[i], target, assigned)
        start_scores = None if start is None else start[i].sigmoid()
        if start_scores is not None and scarce is not None:
            target = replace(target, is_known=without_scarce(target.is_known, start_scores, scarce))
        classes = classes + _class_loss(logits[i], target, assigned, start_scores, scarce)
        if start_scores is not None:
            distillation = distillation + _distillation_loss(logits[i], start_scores, target, assigned)
    scale = 1.0 / max(n_positive, 1)
    scaled = [
        part * scale for part in (_BOX_LOSS_WEIGHT * box, _CLASS_LOSS_WEIGHT * classes, distill_weight * distillation)
    ]
    return LossParts(sum(scaled, zero), scaled[0], zero, scaled[1], scaled[2], n_positive)


@torch.no_grad()
def match_anchors(boxes: Tensor, anchors: Anchors, target: Target) -> Assignment:
    """Choose positive anchors by overlap, independently of the network.

    Args:
        boxes: (N, 4) decoded boxes of one picture, input pixels; only their overlaps are returned.
        anchors: those of the input size.
        target: its labels; no labels give an empty assignment.

    Returns:
        Every anchor that overlaps an object by half or more, with the object that it overlaps most; and for each
        object its best anchor, however small the overlap, unless a later object claims the same one. An object that
        touches no anchor claims nothing.
    """
    wanted = target.boxes_xyxy
    if len(wanted) == 0:
        nothing = torch.zeros(0, dtype=torch.int64, device=boxes.device)
        return Assignment(nothing, nothing, boxes.new_zeros(0))
    half = anchors.sizes / 2
    overlaps = pairwise_iou(wanted, torch.cat((anchors.centres - half, anchors.centres + half), dim=1))  # (G, N)
    best, objects = overlaps.max(dim=0)
    is_positive = best >= _MIN_IOU
    for number, (overlap, anchor) in enumerate(zip(*overlaps.max(dim=1), strict=True)):
        if overlap > 0:
            objects[anchor], is_positive[anchor] = number, True
    cells = is_positive.nonzero().squeeze(1)
    return Assignment(cells, objects[cells], aligned_iou(boxes[cells], wanted[objects[cells]]))


def _box_loss(boxes: Tensor, target: Target, assigned: Assignment) -> Tensor:
    iou = aligned_iou(boxes[assigned.cells], target.boxes_xyxy[assigned.objects])
    return ((1 - iou.square()) * target.weights_of(assigned.objects)).sum()


def _class_loss(
    logits: Tensor, target: Target, assigned: Assignment, start_scores: Tensor | None, scarce: Tensor | None
) -> Tensor:
    """Pull each class score of the counted anchors towards the overlap with an object of that class."""
    wanted, weights = torch.zeros_like(logits), torch.ones_like(logits[:, 0])
    wanted[assigned.cells, target.class_ids[assigned.objects]] = assigned.ious.to(logits.dtype)
    if start_scores is not None and scarce is not None:
        class_ids, cells = target.class_ids[assigned.objects], assigned.cells
        wanted[cells] = with_scarce(wanted[cells], start_scores[cells], class_ids, scarce)
    weights[assigned.cells] = target.weights_of(assigned.objects).to(logits.dtype)
    counted = target.is_known.clone()
    counted[assigned.cells] = True
    return (_quality_focal(logits[counted], wanted[counted]) * weights[counted]).sum()


def _distillation_loss(logits: Tensor, start_scores: Tensor, target: Target, assigned: Assignment) -> Tensor:
    """Follow the starting model at unknown anchors."""
    silent = ~target.is_known
    silent[assigned.cells] = False
    return _quality_focal(logits[silent], start_scores[silent]).sum()


def _quality_focal(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return (M,) cross entropies of (M, C) scores, weighted by error: background is easy and frequent."""
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (entropy * (logits.sigmoid() - wanted).abs().pow(_FOCUS)).sum(dim=1)
