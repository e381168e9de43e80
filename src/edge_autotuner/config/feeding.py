"""How a deployed model is fed: with whole frames, or with what moves in them."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from edge_autotuner.config.base import FrozenConfig, Seconds

FeedingMode = Literal["full", "regions", "auto"]
FEEDING_MODES: tuple[FeedingMode, ...] = get_args(FeedingMode)


class FeedingConfig(FrozenConfig):
    """What the deployed model looks at."""

    mode: FeedingMode = Field(
        "full",
        description="full: every frame as a whole; regions: what moves, cut out, magnified and packed into one input; "
        "auto: regions where moving objects are small in the input, else full.",
    )
    object_px: float = Field(
        64.0,
        ge=8,
        le=512,
        description="Size that moving objects are magnified to, input pixels (root of the area); less if they do not "
        "all fit.",
    )
    max_magnification: float = Field(
        6.0, ge=1, le=16, description="Largest magnification of a region, relative to the full frame in the input."
    )
    margin: float = Field(
        0.4, ge=0, le=4, description="Margin around what moves, fraction of its size; shows context and slow parts."
    )
    full_frame_every_s: Seconds = Field(
        2.0,
        gt=0,
        le=3600,
        description="Look at the whole frame, too, this often; finds what stands still.",
    )
    remember_s: Seconds | None = Field(
        10.0,
        gt=0,
        le=86_400,
        description="Report an object that stands still for this long after the model found it last, while its place "
        "looks the same; null: never.",
    )
