"""Plans a training: which layers, how many steps, which pictures per epoch, and the learning rate.

Replay rehearses a little of what was learned before (Rolnick et al., Experience Replay for Continual Learning, arXiv
1811.11682). The camera's own pictures decide how long an epoch is; replayed ones take a share of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from edge_autotuner.config import TrainingConfig
from edge_autotuner.config.training import ReplayConfig
from edge_autotuner.core.types import FloatArray, IntArray

WARMUP_FRACTION = 0.3
MIN_EPOCHS = 3
"""Epochs that a training has in any case, if its settings allow so many."""

_START_LR_DIVISOR = 25.0
_END_LR_DIVISOR = 1e4

Origin = Literal["camera", "replay", "generic"]
"""Where a training picture comes from: this run, earlier runs of the camera, or other scenes."""


def choose_layers(config: TrainingConfig, n_boxes: int) -> str:
    """Resolve "auto": in the paper, the head is safest with little data, all layers are best with enough."""
    if config.layers != "auto":
        return config.layers
    return "all" if n_boxes >= config.auto_all_from_boxes else "box"


def epochs_worthwhile(config: TrainingConfig, start_ap: float) -> int:
    """Return the number of epochs: fewer than configured where the start model needs to learn little.

    In proportion to what the start lacks. On PETS, a third of the epochs gave the AP50:95 of all of them; on NGSIM,
    where the start is poor, it did not (ablations and accuracy in docs/specialization.md).

    Args:
        config: how many there are at most, and from which AP on there are fewer.
        start_ap: AP50:95 of the start on the validation frames.
    """
    if start_ap <= config.fewer_epochs_above:
        return config.n_epochs
    share = (1 - start_ap) / (1 - config.fewer_epochs_above)
    return min(config.n_epochs, max(MIN_EPOCHS, math.ceil(share * config.n_epochs)))


def steps_per_epoch(config: TrainingConfig, n_pictures: int) -> int:
    """Return the batches per epoch: one pass over the pictures, within the configured limits."""
    whole = -(-n_pictures // config.batch_size)
    return max(config.min_steps_per_epoch, min(whole, config.max_steps_per_epoch))


def repeat_factors(class_ids: Sequence[IntArray], threshold: float) -> FloatArray:
    """Return (N,) how often each picture is shown where a picture of frequent classes is shown once, at least 1.

    A picture counts as its rarest class does: a class in a fraction f of the pictures, below the threshold, has a
    factor of sqrt(threshold / f).

    Source:
        Repeat factor sampling: Gupta et al., LVIS, arXiv 1908.03195, section on training.
    """
    held = [np.unique(ids) for ids in class_ids]
    counts = np.bincount(np.concatenate([np.zeros(0, np.int64), *held]))
    factors = np.sqrt(threshold * len(held) / np.maximum(counts, 1))
    return np.array([factors[ids].max(initial=1.0) for ids in held], np.float32)


def epoch_order(
    origins: Sequence[Origin],
    n_wanted: int,
    *,
    replay: ReplayConfig,
    rng: np.random.Generator,
    repeats: FloatArray | None = None,
) -> list[int]:
    """Return the `n_wanted` sample indices of one epoch, shuffled; `origins` are those of all samples, at least one.

    Within each origin, every picture comes once before any comes again. No replayed picture comes more often than the
    most frequent of the camera's own: a small reservoir takes less than its share. With (N,) `repeats`, those of the
    camera come as often as these factors say, rounded at random.
    """
    members = {origin: np.flatnonzero([o == origin for o in origins]) for origin in ("camera", "replay", "generic")}
    n_own, n_replay, n_generic = (len(members[origin]) for origin in ("camera", "replay", "generic"))
    if n_own == 0 or n_replay + n_generic == 0:
        return _drawn(np.arange(len(origins)), n_wanted, rng, repeats)
    most = -(-n_wanted // n_own)  # appearances of an own picture
    n_replayed = min(round(n_wanted * replay.share), most * (n_replay + n_generic))
    n_of_generic = min(round(n_replayed * replay.generic_share), most * n_generic)
    n_of_replay = min(n_replayed - n_of_generic, most * n_replay)
    n_of_generic = min(n_replayed - n_of_replay, most * n_generic)
    counts = {"camera": n_wanted - n_of_replay - n_of_generic, "replay": n_of_replay, "generic": n_of_generic}
    drawn = [
        _drawn(members[origin], count, rng, repeats if origin == "camera" else None) for origin, count in counts.items()
    ]
    return [int(i) for i in rng.permutation(np.concatenate([np.asarray(part, np.int64) for part in drawn]))]


def pictures_per_epoch(origins: Sequence[Origin], share: float) -> int:
    """Return the length of a pass over the camera's own pictures, with the replayed share added."""
    n_own = sum(origin == "camera" for origin in origins)
    if n_own == 0 or n_own == len(origins):
        return len(origins)
    return round(n_own / (1 - share))


def learning_rate(fraction: float, max_lr: float) -> float:
    """Return the one-cycle rate at a fraction, in [0, 1], of the training (Smith & Topin, arXiv 1708.07120)."""
    start, end = max_lr / _START_LR_DIVISOR, max_lr / _END_LR_DIVISOR
    if fraction < WARMUP_FRACTION:
        return _cosine(start, max_lr, fraction / WARMUP_FRACTION)
    return _cosine(max_lr, end, (fraction - WARMUP_FRACTION) / (1 - WARMUP_FRACTION))


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(max(fraction, 0.0), 1.0))) / 2


def _drawn(indices: IntArray, n_wanted: int, rng: np.random.Generator, repeats: FloatArray | None = None) -> list[int]:
    """Return `n_wanted` of some indices; each comes once, or as its factor says, before any comes again."""
    order: list[int] = []
    while len(order) < n_wanted:
        once = indices if repeats is None else np.repeat(indices, _rounded(repeats[indices], rng))
        order += rng.permutation(once).tolist()
    return order[:n_wanted]


def _rounded(factors: FloatArray, rng: np.random.Generator) -> IntArray:
    return np.asarray(np.floor(factors + rng.random(len(factors))), np.int64)
