"""A decoded picture as it is to be seen: upright, and in 8 bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from av.video.frame import VideoFrame

from edge_autotuner.capture.levels import Levels, as_bgr, find_levels
from edge_autotuner.capture.planes import bgr_of, deep_grey_of, is_deep_grey, luma_of, scale_max_of
from edge_autotuner.capture.upright import orientation_of
from edge_autotuner.core.types import ImageArray


def shown_picture(picture: VideoFrame, levels: Levels | None) -> tuple[ImageArray, Callable[[], ImageArray]]:
    """Return the upright brightness of a decoded picture, and a function that returns its upright colours.

    Args:
        picture: as it was decoded.
        levels: how grey pictures of more than 8 bits become visible; None: by the full scale.
    """
    orientation = orientation_of(picture)
    if levels is not None and is_deep_grey(picture):
        luma = orientation.apply(levels.apply(deep_grey_of(picture)))
        return luma, partial(as_bgr, luma)
    if orientation.is_identity:
        return luma_of(picture), partial(bgr_of, picture)
    return orientation.apply(luma_of(picture)), lambda: orientation.apply(bgr_of(picture))


class LevelsOfFirst:
    """Finds once, by the first picture of a camera, how its grey pictures of more than 8 bits become visible."""

    def __init__(self) -> None:
        self._levels: Levels | None = None

    def of(self, picture: VideoFrame) -> Levels | None:
        """Return the levels; None for pictures of 8 bits, or with colours."""
        if self._levels is None and is_deep_grey(picture):
            self._levels = find_levels([deep_grey_of(picture)], scale_max=scale_max_of(picture))
        return self._levels
