"""Computes plates, the empty scene of a fixed camera per time window, from the training pictures.

A plate is the median of pictures spread over its window. Labelled objects are left out where enough other pictures show
the ground, so that dense traffic leaves no ghosts; an object that is labelled nearly always, such as a parked car,
stays in the plate.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge_autotuner.core.sampling import evenly_spread
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray, IntArray, SizeWH

MIN_PICTURES = 8
"""With fewer pictures, a median still shows what moves."""

_PER_PLATE = 25
_MIN_WINDOW_S = 3600.0
_MAX_WINDOWS = 12
_MIN_SHOWING = 0.2  # share of the pictures that must show the ground for labels to be left out
_LIGHT_WIDTH_PX = 32
_ALIKE_LEVELS = 20.0  # mean difference, after scaling the brightness, of plates that share objects
_GAINS = 0.6, 1.6  # an object that was lit more differently looks wrong
_PLACE_EXPONENT = 0.3  # this much of the difference in brightness between two places is taken for light


def time_windows(times_s: Sequence[float | None]) -> list[IntArray]:
    """Divide pictures into windows of an hour or more, each with enough pictures for a plate.

    Args:
        times_s: of each picture; recordings below 2 h, or with an unknown time, form one window.

    Returns:
        Positions in `times_s`, rising in time; none for fewer than `MIN_PICTURES`.
    """
    n = len(times_s)
    if n < MIN_PICTURES:
        return []
    known = [time for time in times_s if time is not None]
    if len(known) < n or max(known) - min(known) < 2 * _MIN_WINDOW_S:
        return [np.arange(n)]
    times = np.array(known)
    order = np.argsort(times, kind="stable")
    length_s = max(_MIN_WINDOW_S, float(np.ptp(times)) / _MAX_WINDOWS)
    windows: list[IntArray] = []
    left = order[:0]
    for hour in np.split(order, np.flatnonzero(np.diff((times[order] - times.min()) // length_s)) + 1):
        left = np.concatenate([left, hour])
        if len(left) >= MIN_PICTURES:
            windows.append(left)
            left = order[:0]
    if len(left):
        last = windows.pop() if windows else left[:0]
        windows.append(np.concatenate([last, left]))
    return windows


def spread(items: IntArray, n_wanted: int = _PER_PLATE) -> IntArray:
    """Return at most `n_wanted` items, evenly spread."""
    return np.asarray(items[evenly_spread(len(items), n_wanted)], np.int64)


def clean_plate(images_bgr: Sequence[ImageArray], labels_xyxy: Sequence[FloatArray]) -> ImageArray:
    """Return the (H, W, 3) empty scene.

    Args:
        images_bgr: pictures of one size.
        labels_xyxy: (G, 4) labelled objects of each, its pixels.
    """
    height, width = images_bgr[0].shape[:2]
    shows_ground = np.stack([~inside_boxes(boxes, (width, height)) for boxes in labels_xyxy])
    n_showing = shows_ground.sum(axis=0)
    enough = n_showing >= max(2, _MIN_SHOWING * len(images_bgr))
    stack = np.stack(images_bgr)
    stack[~shows_ground & enough] = 255  # to the end of the order, behind all that count
    n_counting = np.where(enough, n_showing, len(images_bgr))
    stack.sort(axis=0)
    middle = (n_counting - 1) // 2
    return np.asarray(np.take_along_axis(stack, middle[None, ..., None], axis=0)[0], np.uint8)


def inside_boxes(boxes_xyxy: FloatArray, size_wh: SizeWH, *, grow_px: int = 0) -> BoolArray:
    """Return (H, W): the pixels that boxes touch, each grown by `grow_px` on all sides."""
    inside = np.zeros((size_wh[1], size_wh[0]), bool)
    starts = np.clip(np.floor(boxes_xyxy[:, :2]) - grow_px, 0, None).astype(int)
    ends = np.clip(np.ceil(boxes_xyxy[:, 2:]) + grow_px, 0, None).astype(int)
    for (x1, y1), (x2, y2) in zip(starts, ends, strict=True):
        inside[y1:y2, x1:x2] = True
    return inside


class Lights:
    """Brightness factors for objects in another place or at another time."""

    def __init__(self, plates_bgr: Sequence[ImageArray], frame_size_wh: SizeWH) -> None:
        """Keep small copies of the plates.

        Args:
            plates_bgr: of one camera, any size of its aspect.
            frame_size_wh: the frame whose pixels boxes are given in.
        """
        height, width = plates_bgr[0].shape[:2]
        size_wh = _LIGHT_WIDTH_PX, max(1, round(_LIGHT_WIDTH_PX * height / width))
        small = [cv2.resize(plate, size_wh, interpolation=cv2.INTER_AREA) for plate in plates_bgr]
        self._plates = np.stack(small).astype(np.float32) + 1  # no division by zero
        self._frame_size_wh = frame_size_wh
        means = self._plates.mean(axis=(1, 2, 3))
        scaled = self._plates[None] * (means[:, None] / means[None])[..., None, None, None]
        self._are_alike = np.abs(scaled - self._plates[:, None]).mean(axis=(2, 3, 4)) <= _ALIKE_LEVELS

    def gain(self, from_window: int, from_xyxy: FloatArray, to_window: int, to_xyxy: FloatArray) -> FloatArray | None:
        """Return (3,) factors for an object's colours; None if it would look wrong there.

        Two times at one place differ by light; two places may also differ by colour.
        """
        if not self._are_alike[to_window, from_window]:
            return None
        here, there = self._pixel(from_xyxy), self._pixel(to_xyxy)
        later = self._plates[to_window][here]
        place = float(self._plates[to_window][there].sum() / later.sum())
        gain = later / self._plates[from_window][here] * np.float32(place**_PLACE_EXPONENT)
        return gain if _GAINS[0] <= gain.min() and gain.max() <= _GAINS[1] else None

    def _pixel(self, box_xyxy: FloatArray) -> tuple[int, int]:
        """Return the row and column of the small plates that the middle of a box falls on."""
        height, width = self._plates.shape[1:3]
        x = (box_xyxy[0] + box_xyxy[2]) / 2 * width / self._frame_size_wh[0]
        y = (box_xyxy[1] + box_xyxy[3]) / 2 * height / self._frame_size_wh[1]
        return min(int(y), height - 1), min(int(x), width - 1)
