"""The plain way to train YOLOX, to compare the speed of ours with: what a straightforward implementation does.

Pictures are letterboxed to squares with grey, tensors have PyTorch's own memory format, and the loss goes from picture
to picture and from object to object as in the official implementation (Megvii YOLOX, `yolo_head.py`,
`get_assignments` and `simota_matching`). Augmentation and the network are ours, so that only these three differ.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_autotuner.config import AugmentationConfig
from edge_autotuner.core.types import SizeWH
from edge_autotuner.models.yolox import CellGrid, Yolox, decode_boxes
from edge_autotuner.training import Assignment, Target, TrainingSample, prepare_sample
from edge_autotuner.training.pictures import PictureCache

_CENTRE_RADIUS, _CANDIDATES, _IOU_WEIGHT, _OUTSIDE_COST, _BOX_WEIGHT = 2.5, 10, 3.0, 1e5, 5.0


class PlainTraining:
    """Trains a copy of a network on square pictures.

    Attributes:
        seconds: wall time of each epoch so far.
    """

    def __init__(
        self, start: Yolox, samples: Sequence[TrainingSample], input_size_wh: SizeWH, *, batch_size: int
    ) -> None:
        """Prepare the copy, the optimizer and the averaged weights."""
        self._network = copy.deepcopy(start).to(memory_format=torch.contiguous_format).train()  # type: ignore[call-overload]
        self._average = copy.deepcopy(start)
        self._optimizer = torch.optim.AdamW(self._network.parameters(), lr=1e-4)
        self._samples, self._size_wh, self._batch_size = samples, input_size_wh, batch_size
        self._grid = CellGrid.of_input(input_size_wh[1], input_size_wh[0])
        self._pictures = PictureCache(samples, input_size_wh, budget_bytes=512 << 20)
        self._rng = np.random.default_rng(0)
        self.seconds: list[float] = []

    def run_epoch(self) -> None:
        """Show every picture once."""
        began_s = time.perf_counter()
        order = self._rng.permutation(len(self._samples))
        for start in range(0, len(order), self._batch_size):
            self._step(order[start : start + self._batch_size].tolist())
        self.seconds.append(time.perf_counter() - began_s)

    def _step(self, indices: list[int]) -> None:
        images, targets = self._batch(indices)
        loss = plain_loss(self._network(images), self._grid, targets)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._network.parameters(), 35.0)
        self._optimizer.step()
        with torch.no_grad():
            for averaged, current in zip(self._average.parameters(), self._network.parameters(), strict=True):
                averaged.lerp_(current, 0.01)

    def _batch(self, indices: list[int]) -> tuple[Tensor, list[Target]]:
        images, targets = [], []
        for index in indices:
            prepared = prepare_sample(
                self._samples[index],
                self._pictures.picture(index),
                canvas_wh=self._size_wh,
                input_size_wh=self._size_wh,
                centres_xy=self._grid.centres.numpy(),
                augmentation=AugmentationConfig(paste=0.0, mosaic=0.0),
                rng=self._rng,
            )
            images.append(prepared.image)
            boxes, class_ids = torch.from_numpy(prepared.boxes_xyxy), torch.from_numpy(prepared.class_ids)
            targets.append(Target(boxes, class_ids, torch.from_numpy(prepared.is_known)))
        return torch.from_numpy(np.stack(images)).float(), targets


def plain_loss(logits: Tensor, grid: CellGrid, targets: Sequence[Target]) -> Tensor:
    """Return the YOLOX loss, computed picture by picture; cells of which nothing is known are left out.

    Args:
        logits: (B, N, 5 + C).
        grid: the cells.
        targets: one per picture.
    """
    total, n_positive = logits.new_zeros(()), 0
    for of_picture, target in zip(logits, targets, strict=True):
        boxes = decode_boxes(of_picture[None], grid)[0]
        assigned = plain_assign(boxes, of_picture, grid, target)
        is_positive = torch.zeros(len(of_picture))
        is_positive[assigned.cells] = 1
        counted = (is_positive > 0) | target.is_known
        total = total + functional.binary_cross_entropy_with_logits(
            of_picture[counted, 4], is_positive[counted], reduction="sum"
        )
        if len(assigned.cells):
            iou = _pairwise_iou(boxes[assigned.cells], target.boxes_xyxy[assigned.objects]).diagonal()
            classes = of_picture[assigned.cells, 5:]
            wanted = functional.one_hot(target.class_ids[assigned.objects], classes.shape[1])
            total = total + _BOX_WEIGHT * (1 - iou**2).sum()
            total = total + functional.binary_cross_entropy_with_logits(
                classes, wanted * assigned.ious[:, None], reduction="sum"
            )
            n_positive += len(assigned.cells)
    return total / max(n_positive, 1)


@torch.no_grad()
def plain_assign(boxes: Tensor, logits: Tensor, grid: CellGrid, target: Target) -> Assignment:
    """Choose positive cells by SimOTA, object by object.

    Args:
        boxes: (N, 4) decoded boxes of one picture, input pixels.
        logits: (N, 5 + C) of the same picture.
        grid: the cells.
        target: its labels.
    """
    near, good = _near_and_good(grid, target.boxes_xyxy)
    candidates = near.any(dim=0).nonzero().squeeze(1)  # (M,)
    if len(candidates) == 0:
        nothing = torch.zeros(0, dtype=torch.int64)
        return Assignment(nothing, nothing, torch.zeros(0))
    ious = _pairwise_iou(target.boxes_xyxy, boxes[candidates])  # (G, M)
    n_objects, n_candidates, n_classes = len(ious), len(candidates), logits.shape[1] - 5
    wanted = functional.one_hot(target.class_ids, n_classes).float()[:, None].repeat(1, n_candidates, 1)
    joint = (logits[candidates, 5:].sigmoid() * logits[candidates, 4:5].sigmoid()).sqrt()
    joint = joint.clamp(1e-7, 1 - 1e-7)[None].repeat(n_objects, 1, 1)  # (G, M, C)
    class_cost = functional.binary_cross_entropy(joint, wanted, reduction="none").sum(dim=2)
    cost = class_cost - _IOU_WEIGHT * torch.log(ious + 1e-8) + _OUTSIDE_COST * ~good[:, candidates]
    matches = torch.zeros_like(cost)
    best_ious, _ = torch.topk(ious, min(_CANDIDATES, n_candidates), dim=1)
    dynamic_ks = best_ious.sum(dim=1).int().clamp(min=1)
    for index in range(n_objects):
        if near[index].any():  # an object outside the picture claims nothing
            _, cells = torch.topk(cost[index], k=int(dynamic_ks[index].item()), largest=False)
            matches[index][cells] = 1.0
    contested = matches.sum(dim=0) > 1
    if contested.any():
        cheapest = cost[:, contested].argmin(dim=0)
        matches[:, contested] = 0.0
        matches[cheapest, contested] = 1.0
    picked = (matches.sum(dim=0) > 0).nonzero().squeeze(1)
    objects = matches[:, picked].argmax(dim=0)
    return Assignment(candidates[picked], objects, ious[objects, picked])


def _near_and_good(grid: CellGrid, boxes_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    """Return (G, N) masks: inside the box or near its middle; both of them."""
    centres = grid.centres[None].repeat(len(boxes_xyxy), 1, 1)  # (G, N, 2)
    deltas = torch.cat([centres - boxes_xyxy[:, None, :2], boxes_xyxy[:, None, 2:] - centres], dim=2)
    inside = deltas.min(dim=2).values > 0
    middles = (boxes_xyxy[:, None, :2] + boxes_xyxy[:, None, 2:]) / 2
    near = (centres - middles).abs().max(dim=2).values < _CENTRE_RADIUS * grid.strides[None, :, 0]
    return inside | near, inside & near


def _pairwise_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Return (A, B) overlaps."""
    top_left = torch.max(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    bottom_right = torch.min(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    inter = torch.prod((bottom_right - top_left).clamp(min=0), dim=2)
    area_a, area_b = (torch.prod(boxes[:, 2:] - boxes[:, :2], dim=1) for boxes in (a_xyxy, b_xyxy))
    return inter / (area_a[:, None] + area_b[None] - inter + 1e-9)
