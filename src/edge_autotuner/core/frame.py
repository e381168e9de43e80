"""One picture of a camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from edge_autotuner.core.types import ImageArray, SizeWH


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame, brightness at once and colour on demand.

    The motion gate reads brightness of every frame, while colour is needed only for the few frames that
    are selected; converting on demand saves most of the decoding time.

    Attributes:
        index: 0-based position in decode order (video) or name order (folder); of a live source, the number of
            pictures it gave before, dropped ones included.
        time_s: seconds since the start of the source.
        luma: (H, W) uint8 brightness. Read-only: it may be a view of the decoder's memory.
        to_bgr: returns the (H, W, 3) uint8 picture; called at most once.
        file_name: the picture's path below the folder, "/" as separator; None for video.
        captured_at: aware UTC wall time at which a live source gave the picture; None for a recorded source.
    """

    index: int
    time_s: float
    luma: ImageArray
    to_bgr: Callable[[], ImageArray]
    file_name: str | None = None
    captured_at: datetime | None = None

    @cached_property
    def image_bgr(self) -> ImageArray:
        """The (H, W, 3) uint8 picture in OpenCV's channel order."""
        return self.to_bgr()

    @property
    def size_wh(self) -> SizeWH:
        """Width and height in pixels."""
        return self.luma.shape[1], self.luma.shape[0]
