"""Prevents forgetting: where labels say nothing, outputs follow the starting model.

A camera's labels show few classes and few kinds of places. Trained on them alone, a network soon calls everything else
background: objectness falls for cars when all labels are people. So where the starting model sees a *scarce* class, one
that the camera's labels hardly show, an unlabelled place is unknown instead of background, and its scores follow those
of the starting model.

Source: Li & Hoiem, Learning without Forgetting, arXiv 1606.09282: the old model's outputs on new pictures are targets
for the old classes. The choice of places, and weighting the pull by the old model's scores, are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_autotuner.training.samples import TrainingSample

_SCARCE_SHARE = 0.01  # of the labels; a few false labels do not make a class known
_SEEN_SCORE = 0.1  # from which the starting model sees something


def scarce_classes(samples: Sequence[TrainingSample], n_classes: int) -> Tensor:
    """Return (C,) bool: the classes with less than 1 % of the labels of the camera's own pictures.

    Args:
        samples: all training pictures; replayed ones are not counted.
        n_classes: of the network.
    """
    counts = torch.zeros(n_classes, dtype=torch.int64)
    for sample in samples:
        if sample.origin == "camera":
            counts += torch.bincount(torch.from_numpy(sample.class_ids), minlength=n_classes)
    return counts < _SCARCE_SHARE * counts.sum().clamp(min=1)


def without_scarce(is_known: Tensor, start_scores: Tensor, scarce: Tensor) -> Tensor:
    """Return (..., N): `is_known` without outputs where the start sees a scarce class.

    Args:
        is_known: (..., N) bool, outputs that may count as background.
        start_scores: (..., N, C) of the starting model, in [0, 1].
        scarce: (C,) bool.
    """
    if not scarce.any():
        return is_known
    return is_known & (start_scores[..., scarce.to(start_scores.device)].amax(dim=-1) < _SEEN_SCORE)


def with_scarce(wanted: Tensor, start_scores: Tensor, class_ids: Tensor, scarce: Tensor) -> Tensor:
    """Return (P, C) class targets of positive outputs; those of scarce classes follow the start.

    Args:
        wanted: (P, C) by the labels.
        start_scores: (P, C) class scores of the starting model, in [0, 1].
        class_ids: (P,) class of each one's object, whose target stays.
        scarce: (C,) bool.
    """
    is_own = functional.one_hot(class_ids, wanted.shape[1]).bool()
    return torch.where(scarce.to(wanted.device) & ~is_own, start_scores.to(wanted.dtype), wanted)


def follow_yolox(logits: Tensor, reference: Tensor, is_positive: Tensor, is_known: Tensor) -> Tensor:
    """Return the distillation loss of YOLOX outputs where labels say nothing.

    Objectness follows the starting model at unknown cells only; classes follow it, weighted by its objectness,
    wherever no label disagrees.

    Args:
        logits: (B, N, 5 + C).
        reference: (B, N, 5 + C) of the starting model.
        is_positive: (B, N) bool, responsible for a label.
        is_known: (B, N) bool, positive or background.
    """
    seen = reference[..., 4].sigmoid()
    is_free = (~is_positive).to(logits.dtype)
    is_silent = is_free * (~is_known).to(logits.dtype)
    objectness = functional.binary_cross_entropy_with_logits(logits[..., 4], seen, weight=is_silent, reduction="sum")
    classes = functional.binary_cross_entropy_with_logits(
        logits[..., 5:], reference[..., 5:].sigmoid(), weight=(seen * is_free)[..., None], reduction="sum"
    )
    return objectness + classes


@torch.no_grad()
def move_towards(network: nn.Module, start: nn.Module, share: float) -> None:
    """Interpolate a network's weights in place: 0 leaves them, 1 makes them those of the start.

    Source: Wortsman et al., Robust fine-tuning of zero-shot models (WiSE-FT), arXiv 2109.01903.
    """
    for tuned, old in zip(network.parameters(), start.parameters(), strict=True):
        tuned.lerp_(old.to(tuned.device, tuned.dtype), share)
