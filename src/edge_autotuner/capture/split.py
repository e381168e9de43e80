"""Which frames of a source may be trained on, and which are kept for the evaluation.

Frames of a fixed camera resemble their neighbours, so the split is by time: the evaluation gets the last part,
and nothing of it is ever trained on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from edge_autotuner.config import CaptureConfig
from edge_autotuner.core import SourceInfo
from edge_autotuner.errors import ConfigError, EvaluationError


@dataclass(frozen=True)
class SplitPlan:
    """The frames of each part.

    Attributes:
        train: indices of the frames that may be selected for training.
        test: sorted indices of the frames that are evaluated; none of them is in `train`.
    """

    train: range
    test: tuple[int, ...]

    @property
    def n_needed(self) -> int:
        """How many frames must be decoded, from the first on."""
        return max(self.train.stop, self.test[-1] + 1 if self.test else 0)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {"train": [self.train.start, self.train.stop], "test": list(self.test)}


def plan_split(
    info: SourceInfo,
    config: CaptureConfig,
    *,
    keep_test: bool = True,
    labelled_indices: Collection[int] | None = None,
) -> SplitPlan:
    """Divide a source into a training part and test frames.

    Without `train_frames` and `test_frames` the last `test_fraction` is kept. Given one of them, the other
    part follows from it: the training part ends where `test_frames` begin (or begins after them if they are at
    the start), and the kept part never reaches into `train_frames`.

    Args:
        info: the source.
        config: ranges and numbers.
        keep_test: False when another source is evaluated; then everything trains.
        labelled_indices: frames with ground truth; those of the kept part are chosen besides the usual ones.

    Raises:
        ConfigError: a range lies outside of the source, or one part is left without frames.
        EvaluationError: no frame of the kept part has ground truth.
    """
    if not keep_test:
        return SplitPlan(frame_range("train_frames", config.train_frames, info), ())
    if _length(info) < 2:
        raise ConfigError(
            f"{info.name} has only {info.n_frames} frame; use a longer source, or evaluate on another with "
            "--test-source"
        )
    train, kept = _cut(info, config)
    if labelled_indices is not None and not set(labelled_indices).intersection(kept):
        raise EvaluationError(
            f"the ground truth lists no frame of the held-out part {kept.start}:{kept.stop} of {info.name}; choose "
            "another part with test_frames, or use --test-source"
        )
    return SplitPlan(train, choose_test_frames(kept, config, labelled_indices))


def choose_test_frames(
    kept: Sequence[int], config: CaptureConfig, labelled_indices: Collection[int] | None
) -> tuple[int, ...]:
    """Return the frames to evaluate, sorted: evenly spread ones, and of those with ground truth as many besides.

    The teacher's labels judge all of them, human boxes those that they have: few human boxes must not
    leave the decision about the promotion to few frames.

    Args:
        kept: frames that may be evaluated, sorted.
        config: how many.
        labelled_indices: frames with ground truth; None without one.
    """
    usual = spread(kept, every=config.test_every, at_most=config.max_test_images)
    labelled = sorted(set(labelled_indices or ()).intersection(kept))
    more = spread(labelled, every=config.test_every, at_most=config.max_test_images) if labelled else ()
    return tuple(sorted({*usual, *more}))


def spread(indices: Sequence[int], *, every: int | None, at_most: int) -> Sequence[int]:
    """Return every n-th of the indices, or without `every`, evenly spread ones, at most so many."""
    if every is not None:
        return indices[::every]
    n_chosen = min(at_most, len(indices))
    return [indices[i * len(indices) // n_chosen] for i in range(n_chosen)]


def frame_range(name: str, frames: tuple[int, int | None] | None, info: SourceInfo) -> range:
    """Return the range that the setting `name` gives, or all frames when it is not set.

    Raises:
        ConfigError: it reaches beyond the source.
    """
    return _range_of(name, frames, info) or range(_length(info))


def _length(info: SourceInfo) -> int:
    if info.n_frames is None:
        raise ValueError(f"{info.name} is live and has no fixed number of frames to split")
    return info.n_frames


def _cut(info: SourceInfo, config: CaptureConfig) -> tuple[range, range]:
    n_frames = _length(info)
    n_kept = min(n_frames - 1, max(1, round(n_frames * config.test_fraction)))
    train = _range_of("train_frames", config.train_frames, info)
    kept = _range_of("test_frames", config.test_frames, info)
    if kept is None:
        first_kept = n_frames - n_kept
        kept = range(max(first_kept, train.stop) if train else first_kept, n_frames)
        if not kept:
            raise ConfigError(
                f"train_frames reach the end of {info.name} ({info.n_frames} frames) and leave nothing to evaluate; "
                "shorten them, set test_frames, or use --test-source"
            )
    if train is None:
        train = range(kept.start) if kept.start > 0 else range(kept.stop, n_frames)
        if not train:
            raise ConfigError(f"test_frames cover all {info.n_frames} frames of {info.name}, leaving none to train on")
    if max(train.start, kept.start) < min(train.stop, kept.stop):
        raise ConfigError(
            f"train_frames {train.start}:{train.stop} and test_frames {kept.start}:{kept.stop} of {info.name} "
            "overlap; a test frame must never be trained on"
        )
    return train, kept


def _range_of(name: str, frames: tuple[int, int | None] | None, info: SourceInfo) -> range | None:
    if frames is None:
        return None
    n_frames = _length(info)
    start, stop = frames[0], n_frames if frames[1] is None else frames[1]
    if not 0 <= start < stop <= n_frames:
        raise ConfigError(
            f"{name} {start}:{stop} is outside {info.name}, which has {info.n_frames} frames (0:{info.n_frames})"
        )
    return range(start, stop)
