"""What is trained, for how many steps, and how the learning rate goes."""

from __future__ import annotations

import math

from edge_autotuner.config import TrainingConfig

WARMUP_FRACTION = 0.3
_START_LR_DIVISOR = 25.0
_END_LR_DIVISOR = 1e4


def choose_layers(config: TrainingConfig, n_boxes: int) -> str:
    """Resolve "auto": the paper finds the head safest with little data, all layers best with enough."""
    if config.layers != "auto":
        return config.layers
    return "all" if n_boxes >= config.auto_all_from_boxes else "box"


def steps_per_epoch(config: TrainingConfig, n_pictures: int) -> int:
    """Return how many batches an epoch has: one pass over the pictures, within the limits of the settings."""
    whole = -(-n_pictures // config.batch_size)
    return max(config.min_steps_per_epoch, min(whole, config.max_steps_per_epoch))


def learning_rate(fraction: float, max_lr: float) -> float:
    """Return the one-cycle rate after a share, in [0, 1], of the training (Smith & Topin, arXiv 1708.07120)."""
    start, end = max_lr / _START_LR_DIVISOR, max_lr / _END_LR_DIVISOR
    if fraction < WARMUP_FRACTION:
        return _cosine(start, max_lr, fraction / WARMUP_FRACTION)
    return _cosine(max_lr, end, (fraction - WARMUP_FRACTION) / (1 - WARMUP_FRACTION))


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(max(fraction, 0.0), 1.0))) / 2
