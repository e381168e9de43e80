"""Settings of the feature maps that are kept on disk while some layers are frozen."""

from __future__ import annotations

from pydantic import Field

from edge_autotuner.config.base import FrozenConfig


class FeatureCacheConfig(FrozenConfig):
    """What is kept of the frozen layers' output, so that it is computed once for each view of a picture."""

    enabled: bool = Field(True, description="Keep the frozen layers' output on disk; false: compute it in each step.")
    n_views: int = Field(
        4, ge=1, le=1000, description="Randomly changed views of each picture that take turns from epoch to epoch."
    )
    max_gb: float = Field(
        4.0,
        gt=0,
        le=1_000_000,
        description="Most disk space, 10^9 bytes: fewer views if they do not fit, no cache if not even one.",
    )
    min_free_gb: float = Field(
        1.0, ge=0, le=1_000_000, description="Disk space that the cache leaves free, 10^9 bytes."
    )
