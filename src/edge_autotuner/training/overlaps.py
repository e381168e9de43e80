"""Overlaps of boxes as tensors, with gradients."""

from __future__ import annotations

import torch
from torch import Tensor


def pairwise_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Return (A, B) overlaps in [0, 1] of (A, 4) with (B, 4) corners."""
    return _iou(a_xyxy[:, None], b_xyxy[None])


def aligned_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Return (P,) overlaps in [0, 1] of (P, 4) corners with the (P, 4) of the same row."""
    return _iou(a_xyxy, b_xyxy)


def aligned_giou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Return (...) generalized IoU in [-1, 1] of (..., 4) corners; shapes are broadcast.

    The IoU, less the share of the enclosing box that neither covers: it grows as separate boxes come nearer
    (Rezatofighi et al., arXiv 1902.09630).
    """
    inter, union = _shared_and_joint(a_xyxy, b_xyxy)
    around = torch.minimum(a_xyxy[..., :2], b_xyxy[..., :2]), torch.maximum(a_xyxy[..., 2:], b_xyxy[..., 2:])
    hull = _areas(torch.cat(around, dim=-1))
    return inter / (union + 1e-9) - (hull - union) / (hull + 1e-9)


def _iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Return the overlaps of (..., 4) corners."""
    inter, union = _shared_and_joint(a_xyxy, b_xyxy)
    return inter / (union + 1e-9)


def _shared_and_joint(a_xyxy: Tensor, b_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    """Return intersections and unions, side by side: products over an axis of two are slow."""
    width = torch.minimum(a_xyxy[..., 2], b_xyxy[..., 2]) - torch.maximum(a_xyxy[..., 0], b_xyxy[..., 0])
    height = torch.minimum(a_xyxy[..., 3], b_xyxy[..., 3]) - torch.maximum(a_xyxy[..., 1], b_xyxy[..., 1])
    inter = width.clamp(min=0) * height.clamp(min=0)
    return inter, _areas(a_xyxy) + _areas(b_xyxy) - inter


def _areas(boxes_xyxy: Tensor) -> Tensor:
    width, height = boxes_xyxy[..., 2] - boxes_xyxy[..., 0], boxes_xyxy[..., 3] - boxes_xyxy[..., 1]
    return width.clamp(min=0) * height.clamp(min=0)
