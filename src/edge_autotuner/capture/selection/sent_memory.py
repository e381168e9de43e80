"""What a teacher has seen at each place, so that the same thing is not shown to it again."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge_autotuner.core import Frame, MotionResult, scale_boxes
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray, SizeWH

_RETURN_S = 1.0
"""A place that showed the background for this long is empty again, rather than flickering."""

_LONGEST_STEP_S = _RETURN_S / 2
"""The time between two frames counts at most so much: a break in the stream is not an empty place, and in a folder of
single pictures one picture without the object is enough."""

_ROUNDING_S = 1e-6

_RIM_PX = 4
"""Working pixels this close to a changed one count as occupied: the rim of a still object flickers."""

_SPOT = np.ones((2 * _RIM_PX + 1, 2 * _RIM_PX + 1), np.uint8)

_Place = tuple[slice, slice]


class SentMemory:
    """Remembers, pixel by pixel at working size, how the places looked when they were sent.

    The regions of every sent frame are pasted into a composite picture. Two different looks are kept for each
    pixel: when somebody passes in front of a parked car, the car is known again afterwards. A place is forgotten
    when it shows the background for a second: whatever comes there next is new, even if it looks the same, as the
    next car of a queue does.

    Forgetting costs nothing while nothing moves: a pixel that changes again after a second without change must
    have shown the background in between.

    Args:
        threshold: difference of blurred brightness that counts as a change, grey levels.
        min_change_fraction: a region is new when at least this share of its changed pixels is.
    """

    def __init__(self, *, threshold: int, min_change_fraction: float) -> None:
        self._threshold = threshold
        self._min_change_fraction = min_change_fraction
        self._key: tuple[SizeWH, tuple[int, ...]] | None = None
        self._looks = np.zeros((2, 0, 0), np.uint8)  # (2, h, w) blurred brightness, the latest first
        self._n_looks = np.zeros((0, 0), np.uint8)  # (h, w) how many of them count
        self._occupied_s = np.zeros((0, 0), np.float64)  # (h, w) when the pixel last changed, watched seconds
        self._watched_s = 0.0
        self._last_s: float | None = None

    def see(self, frame: Frame, motion: MotionResult, time_s: float) -> None:
        """Follow which places are occupied; every frame must be shown, in order.

        A frame of another size than before forgets everything.
        """
        if self._last_s is not None:
            self._watched_s += min(time_s - self._last_s, _LONGEST_STEP_S)
        self._last_s = time_s
        if not self._fits(frame, motion):
            self._restart(frame, motion)
        if not motion.has_motion:
            return
        for place in _places(motion.regions_xyxy, frame, motion, margin_px=_RIM_PX):
            self._occupy(place, motion.mask[place])

    def find_new(self, frame: Frame, motion: MotionResult) -> BoolArray:
        """Return (R,): which regions show something that was not sent; after `see` of the same frame."""
        is_new = [self._is_new(place, motion) for place in _places(motion.regions_xyxy, frame, motion)]
        return np.array(is_new, bool)

    def paste(self, frame: Frame, motion: MotionResult, regions_xyxy: FloatArray) -> None:
        """Remember the regions of a frame as sent; a frame of another size than the last one seen is ignored."""
        if not self._fits(frame, motion):
            return
        for place in _places(regions_xyxy, frame, motion):
            self._add_look(place, motion.blurred_luma[place])

    def _fits(self, frame: Frame, motion: MotionResult) -> bool:
        return self._key == (frame.size_wh, motion.mask.shape)

    def _restart(self, frame: Frame, motion: MotionResult) -> None:
        shape = motion.mask.shape
        self._key = frame.size_wh, shape
        self._looks = np.zeros((2, *shape), np.uint8)
        self._n_looks = np.zeros(shape, np.uint8)
        self._occupied_s = np.full(shape, -np.inf)

    def _occupy(self, place: _Place, changed: BoolArray) -> None:
        occupied = cv2.dilate(changed.view(np.uint8), _SPOT).view(np.bool_)
        n_looks, occupied_s = self._n_looks[place], self._occupied_s[place]
        has_returned = occupied_s <= self._watched_s - _RETURN_S + _ROUNDING_S
        np.copyto(n_looks, 0, where=occupied & has_returned)
        np.copyto(occupied_s, self._watched_s, where=occupied)

    def _is_new(self, place: _Place, motion: MotionResult) -> bool:
        changed, luma = motion.mask[place], motion.blurred_luma[place]
        n_looks, looks = self._n_looks[place], self._looks[:, *place]
        is_known = (n_looks > 0) & self._is_like(luma, looks[0]) | (n_looks > 1) & self._is_like(luma, looks[1])
        n_changed = np.count_nonzero(changed)
        n_new = n_changed - np.count_nonzero(changed & is_known)
        return bool(n_changed > 0 and n_new >= self._min_change_fraction * n_changed)

    def _add_look(self, place: _Place, luma: ImageArray) -> None:
        n_looks, looks = self._n_looks[place], self._looks[:, *place]
        is_other = ~((n_looks > 0) & self._is_like(luma, looks[0]))
        np.copyto(looks[1], looks[0], where=is_other)
        np.copyto(n_looks, np.minimum(n_looks + 1, len(looks)), where=is_other)
        looks[0] = luma

    def _is_like(self, luma: ImageArray, look: ImageArray) -> BoolArray:
        return np.asarray(cv2.absdiff(luma, look) < self._threshold, bool)


def _places(regions_xyxy: FloatArray, frame: Frame, motion: MotionResult, *, margin_px: int = 0) -> list[_Place]:
    """Return the working pixels that regions of a frame touch, as (rows, columns)."""
    height, width = motion.mask.shape
    boxes: npt.NDArray[Any] = scale_boxes(regions_xyxy, from_size_wh=frame.size_wh, to_size_wh=(width, height))
    top_left = np.maximum(np.floor(boxes[:, :2]).astype(int) - margin_px, 0)
    bottom_right = np.ceil(boxes[:, 2:]).astype(int) + margin_px
    return [
        (slice(y1, y2), slice(x1, x2))
        for (x1, y1), (x2, y2) in zip(top_left.tolist(), bottom_right.tolist(), strict=True)
    ]
