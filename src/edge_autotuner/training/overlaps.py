"""Overlaps of boxes as tensors, with gradients."""

from __future__ import annotations

import torch
from torch import Tensor


def pairwise_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Return (A, B) overlaps in [0, 1] of (A, 4) with (B, 4) corners."""
    top_left = torch.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    bottom_right = torch.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    inter = (bottom_right - top_left).clamp(min=0).prod(dim=2)
    return inter / (_areas(a_xyxy)[:, None] + _areas(b_xyxy)[None] - inter + 1e-9)


def aligned_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Return (P,) overlaps in [0, 1] of (P, 4) corners with the (P, 4) of the same row."""
    sides = (torch.minimum(a_xyxy[:, 2:], b_xyxy[:, 2:]) - torch.maximum(a_xyxy[:, :2], b_xyxy[:, :2])).clamp(min=0)
    inter = sides.prod(dim=1)
    return inter / (_areas(a_xyxy) + _areas(b_xyxy) - inter + 1e-9)


def _areas(boxes_xyxy: Tensor) -> Tensor:
    return (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).clamp(min=0).prod(dim=1)
