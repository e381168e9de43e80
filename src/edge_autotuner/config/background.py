"""Settings of the background model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge_autotuner.config.base import FrozenConfig, Seconds

BackgroundMethod = Literal["median", "percentile", "running", "first", "mog2", "knn"]


class BackgroundConfig(FrozenConfig):
    """How the empty scene is estimated (paper, section 4.2.1), and when it is forgotten or recalled."""

    method: BackgroundMethod = Field(
        "median",
        description="median: pixel-wise median of sampled frames, then the moving median of those; percentile: the "
        "same with another rank; running: each pixel moves by one level towards the frame; first: the first frame; "
        "mog2, knn: OpenCV's subtractors.",
    )
    n_frames: int = Field(15, ge=1, le=255, description="N: frames in one median.")
    every_k_frames: int = Field(5, ge=1, le=100_000, description="k: one frame out of k enters the median.")
    n_backgrounds: int = Field(3, ge=1, le=63, description="M: medians of which the moving median is the background.")
    percentile: float = Field(
        40.0, ge=0, le=100, description="Rank taken by the method percentile; below 50 where objects are brighter."
    )
    reset_every_s: Seconds | None = Field(
        None, gt=0, description="Forget the background when it was used for this many seconds of video; null: never."
    )
    freeze_after_s: Seconds | None = Field(
        None,
        gt=0,
        description="Stop learning this many seconds after the background is first known, and again after a reset or a "
        "change of the scene; null: never.",
    )
    scene_change_fraction: float | None = Field(
        0.7,
        gt=0,
        le=1,
        description="Rebuild the background when at least this share of the picture, or of its structure, has changed "
        "and stays so for two seconds (light switched, infrared), or when the camera was moved; null: never.",
    )
    n_remembered: int = Field(
        2,
        ge=0,
        le=8,
        description="Earlier backgrounds (night, lights on) that are kept and recalled when they fit again.",
    )
