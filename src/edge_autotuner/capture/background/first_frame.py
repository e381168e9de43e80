"""The first frame as background: for cameras that start on an empty scene."""

from __future__ import annotations

from edge_autotuner.core.types import ImageArray


class FirstFrame:
    """Takes the first frame after the start or a reset for the background."""

    def __init__(self) -> None:
        self._background: ImageArray | None = None

    def update(self, luma: ImageArray) -> None:
        """Keep a copy of the frame if it is the first."""
        if self._background is None:
            self._background = luma.copy()

    @property
    def background(self) -> ImageArray | None:
        """The first frame."""
        return self._background

    def reset(self) -> None:
        """Make the next frame the first."""
        self._background = None
