"""Scores that choose one frame among those of a time slot. The field disagrees on which is best."""

from __future__ import annotations

from typing import Protocol, assert_never

import numpy as np

from edge_autotuner.capture.selection.student_scores import (
    ConfidentScore,
    DisagreementScore,
    NearThresholdScore,
    UnsureScore,
)
from edge_autotuner.config import SelectionConfig
from edge_autotuner.config.capture import ScoreName
from edge_autotuner.core import Detector, Frame, MotionResult
from edge_autotuner.errors import ConfigError


class FrameScore(Protocol):
    """How much a frame with motion is worth a teacher's look.

    A score depends on the frame alone, not on those before it, so that an interrupted capture can be repeated.
    """

    @property
    def is_costly(self) -> bool:
        """Whether a score takes as long as an inference; then not every frame is scored."""
        ...

    def score(self, frame: Frame, motion: MotionResult) -> float:
        """Return the worth of a frame in 0..1, higher is better; neither argument is changed.

        Args:
            frame: the picture.
            motion: what the gate saw, with those regions only that a teacher would look at.
        """
        ...


class UniformScore:
    """Every frame is worth the same, so the first of each slot is taken, without waiting for the others."""

    is_costly = False

    def score(self, frame: Frame, motion: MotionResult) -> float:
        """Return 0."""
        return 0.0


class RandomScore:
    """A number drawn from the seed and the frame's index: the usual baseline, the same in every run."""

    is_costly = False

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def score(self, frame: Frame, motion: MotionResult) -> float:
        """Return a number that is equally likely anywhere in [0, 1)."""
        return float(np.random.default_rng((self._seed, frame.index)).random())


class MotionAreaScore:
    """The share of the frame that the regions cover: many or large objects."""

    is_costly = False

    def score(self, frame: Frame, motion: MotionResult) -> float:
        """Return the share, 0..1."""
        return motion.motion_fraction


def make_score(name: ScoreName, detector: Detector | None, config: SelectionConfig, seed: int = 0) -> FrameScore:
    """Return the score of that name; those that ask for the student's opinion need a detector.

    Raises:
        ConfigError: the score needs a student and there is none.
    """
    match name:
        case "uniform":
            return UniformScore()
        case "random":
            return RandomScore(seed)
        case "motion-area":
            return MotionAreaScore()
    if detector is None:
        raise ConfigError(
            f"selection.score {name} needs an edge model; give one, or choose uniform, random or motion-area"
        )
    match name:
        case "confident":
            return ConfidentScore(detector)
        case "unsure":
            return UnsureScore(detector)
        case "near-threshold":
            return NearThresholdScore(detector, config.score_threshold)
        case "disagreement":
            return DisagreementScore(detector, config.score_threshold)
        case _:
            assert_never(name)
