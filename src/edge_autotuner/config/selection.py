"""Settings of the selection: which frames with motion are worth a teacher's look."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge_autotuner.config.base import FrozenConfig

ScoreName = Literal["uniform", "random", "motion-area", "confident", "unsure", "near-threshold", "disagreement"]


class SelectionConfig(FrozenConfig):
    """Rules that a frame must pass, and the score that chooses among those that do."""

    score: ScoreName = Field(
        "uniform",
        description="Which frame of each time slot is taken. uniform: the first; random; motion-area: the most "
        "motion; confident, unsure: highest or lowest student score; near-threshold: scores closest to "
        "score_threshold; disagreement: the student sees other objects in the motion regions than in the whole frame.",
    )
    score_threshold: float = Field(
        0.3,
        gt=0,
        lt=1,
        description="Student score that near-threshold looks for, and from which disagreement counts objects.",
    )
    min_gap_s: float = Field(
        0.0, ge=0, le=1e9, description="Shortest time between two selected frames, seconds; 0: spread over the video."
    )
    max_per_hour: int | None = Field(
        None, ge=1, le=1_000_000, description="Most frames in any 60 minutes; null: no limit."
    )
    max_per_day: int | None = Field(
        None, ge=1, le=10_000_000, description="Most frames in any 24 hours; null: no limit."
    )
    min_change_fraction: float = Field(
        0.25,
        ge=0,
        le=1,
        description="A region is new when at least this share of its changed pixels differs from what was sent of "
        "that place.",
    )
    regions: Literal["new", "all"] = Field(
        "new", description="Regions of a selected frame that a teacher looks at; new: not those it has seen already."
    )
    diversity: Literal["none", "hash", "embedding"] = Field(
        "none",
        description="Leave out frames that resemble a selected one, by perceptual hash or by appearance.",
    )
    min_distance: float = Field(
        0.1, ge=0, le=1, description="Smallest difference between two selected frames under that measure."
    )
    empty_fraction: float = Field(
        0.05, ge=0, le=0.5, description="Share of the selected frames that may be empty, as negatives."
    )

    @property
    def asks_student(self) -> bool:
        """Whether the score needs the edge model's opinion of each candidate."""
        return self.score in {"confident", "unsure", "near-threshold", "disagreement"}
