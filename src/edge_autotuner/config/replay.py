"""Settings of the replay: what a training is shown of earlier trainings and of other scenes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from edge_autotuner.config.base import FrozenConfig


class ReplayConfig(FrozenConfig):
    """A reservoir of earlier pictures, and how much of it a training is shown."""

    folder: Path | None = Field(
        None, description="Folder of the reservoir; created where needed. null: nothing is replayed or kept."
    )
    share: float = Field(0.25, ge=0, lt=1, description="Share of an epoch's pictures that comes from the reservoir.")
    generic_share: float = Field(0.4, ge=0, le=1, description="Share of the replayed pictures that shows other scenes.")
    max_pictures: int | None = Field(
        None, ge=1, le=1_000_000, description="Most pictures in the reservoir; null: as it is, 500 in a new one."
    )
    max_mb: float | None = Field(
        None,
        gt=0,
        le=10_000_000,
        description="Most megabytes (10^6 bytes) of pictures in it; null: as it is, 200 in a new one.",
    )
