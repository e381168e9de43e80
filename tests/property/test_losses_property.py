"""The assignment against a slow one with loops, and what may not change the loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from edge_autotuner.models.yolox import CellGrid, decode_boxes
from edge_autotuner.training import Target, assign, detection_loss

GRID = CellGrid.of_input(64, 96)
N_CELLS = 96 + 24 + 6


def draw_scene(seed: int, n_objects: int) -> tuple[Tensor, Target]:
    """Return float64 logits and labels: at 64 bits no two costs are equal by rounding."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0, 1, (1, N_CELLS, 8)))
    corners = rng.uniform([0, 0], [80, 50], (n_objects, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(3, 40, (n_objects, 2))], axis=1)
    is_known = torch.from_numpy(rng.random(N_CELLS) < 0.7)
    return logits, Target(torch.from_numpy(boxes), torch.from_numpy(rng.integers(0, 3, n_objects)), is_known)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    inter = sides.prod()
    return float(inter / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inter))


def assign_slowly(boxes: np.ndarray, logits: np.ndarray, target: Target) -> dict[int, int]:
    """Return cell -> object as arXiv 2107.08430, section 2.3, describes it, one pair at a time."""
    cost: dict[tuple[int, int], float] = {}
    overlaps: dict[int, list[float]] = {}
    centres, strides = GRID.centres.numpy(), GRID.strides.numpy()[:, 0]
    objects = list(zip(target.boxes_xyxy.numpy(), target.class_ids.tolist(), strict=True))
    near_any = set()
    for number, (box, _) in enumerate(objects):
        middle = (box[:2] + box[2:]) / 2
        for cell in range(N_CELLS):
            inside = (centres[cell] > box[:2]).all() and (centres[cell] < box[2:]).all()
            near = (np.abs(centres[cell] - middle) < 2.5 * strides[cell]).all()
            if inside or near:
                near_any.add(cell)
            cost[number, cell] = 0.0 if inside and near else 1e5
    for number, (box, class_id) in enumerate(objects):
        overlaps[number] = []
        for cell in near_any:
            overlap = iou(boxes[cell], box)
            overlaps[number].append(overlap)
            sigmoid = 1 / (1 + np.exp(-logits[cell, 4:]))
            p = np.sqrt(sigmoid[0] * sigmoid[1:])
            wanted = np.arange(3) == class_id
            cost[number, cell] += -np.log(np.where(wanted, p, 1 - p)).sum() - 3 * np.log(overlap + 1e-8)
    claims: dict[int, list[int]] = {}
    for number in range(len(objects)):
        k = max(1, int(sum(sorted(overlaps[number], reverse=True)[:10])))
        for cell in sorted(near_any, key=lambda c: cost[number, c])[:k]:
            claims.setdefault(cell, []).append(number)
    # A cell with several claims goes to the cheapest of all objects, as in the official implementation.
    everyone = range(len(objects))
    return {
        cell: min(everyone, key=lambda n: cost[n, cell]) if len(numbers) > 1 else numbers[0]
        for cell, numbers in claims.items()
    }


@settings(max_examples=25)
@example(seed=149, n_objects=6)  # two objects claim a cell that suits a third one better
@given(seed=st.integers(0, 10_000), n_objects=st.integers(0, 6))
def test_the_assignment_is_that_of_the_slow_one(seed: int, n_objects: int) -> None:
    logits, target = draw_scene(seed, n_objects)
    boxes = decode_boxes(logits, GRID)[0]
    fast = assign(boxes, logits[0], GRID, target)
    slow = assign_slowly(boxes.numpy(), logits[0].numpy(), target)
    assert dict(zip(fast.cells.tolist(), fast.objects.tolist(), strict=True)) == slow
    assert fast.cells.tolist() == sorted(slow)
    expected = [iou(boxes[cell].numpy(), target.boxes_xyxy[slow[cell]].numpy()) for cell in sorted(slow)]
    assert fast.ious.tolist() == pytest.approx(expected, abs=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 6), st.randoms(use_true_random=False))
def test_the_order_of_the_objects_changes_nothing(seed: int, n_objects: int, random: st.randoms) -> None:
    logits, target = draw_scene(seed, n_objects)
    order = list(range(n_objects))
    random.shuffle(order)
    shuffled = Target(target.boxes_xyxy[order], target.class_ids[order], target.is_known)
    a, b = detection_loss(logits, GRID, [target]), detection_loss(logits, GRID, [shuffled])
    assert a.n_positive == b.n_positive
    assert a.total.item() == pytest.approx(b.total.item(), rel=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 4))
def test_the_loss_is_finite_and_never_negative(seed: int, n_objects: int) -> None:
    logits, target = draw_scene(seed, n_objects)
    parts = detection_loss(logits, GRID, [target])
    for value in (parts.total, parts.box, parts.objectness, parts.classes):
        assert 0 <= value.item() < float("inf")
