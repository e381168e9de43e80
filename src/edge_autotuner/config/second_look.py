"""Settings of the second look: labels that the student improves while it is trained."""

from __future__ import annotations

from pydantic import Field

from edge_autotuner.config.base import FrozenConfig


class SecondLookConfig(FrozenConfig):
    """Whether, and when, the student looks at the training frames itself."""

    enabled: bool = Field(
        True,
        description="After a first part of the epochs, fuse the teacher's boxes with what the student finds on "
        "magnified views, and train on with these labels. The labels of test frames remain the teacher's.",
    )
    after: float = Field(0.4, gt=0, lt=1, description="Share of the epochs, and of a deadline, before the second look.")
