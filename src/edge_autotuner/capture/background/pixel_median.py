"""The exact median of a stack of grey pictures, fast.

Each pixel's values pass through the same fixed sequence of compare-and-swap steps, so whole strips of pixels
move through it at once as minima and maxima. Only the steps that the middle value depends on are carried out.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from edge_autotuner.core.types import ImageArray

# Measured on 15 pictures of 480x270: strips of 16 Ki pixels 1.4 ms, 64 Ki 0.65 ms; np.partition 31 ms.
_STRIP_PIXELS = 64 * 1024


def pixel_median(stack: ImageArray) -> ImageArray:
    """Return the (H, W) median of a (N, H, W) uint8 stack; the lower middle value for even N.

    Raises:
        ValueError: the stack is empty or not a stack of grey pictures.
    """
    if stack.ndim != 3 or len(stack) == 0 or stack.dtype != np.uint8:
        raise ValueError(f"stack must be (N, H, W) uint8 with N > 0, got {stack.shape} {stack.dtype}")
    n_pictures, height, width = stack.shape
    steps = _steps_to_median(n_pictures)
    median = np.empty((height, width), np.uint8)
    n_rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, n_rows):
        strip = [np.array(picture) for picture in stack[:, top : top + n_rows]]
        median[top : top + n_rows] = _median_of_strip_in_place(strip, steps)
    return median


_Step = tuple[int, int, bool, bool]
"""Position of the smaller and of the larger value, and whether each of them is still needed afterwards."""


def _median_of_strip_in_place(strip: list[ImageArray], steps: tuple[_Step, ...]) -> ImageArray:
    spare = np.empty_like(strip[0])
    for low, high, low_needed, high_needed in steps:
        a, b = strip[low], strip[high]
        if low_needed and high_needed:
            cv2.min(a, b, dst=spare)
            cv2.max(a, b, dst=b)
            strip[low], spare = spare, a
        elif low_needed:
            cv2.min(a, b, dst=a)
        else:
            cv2.max(a, b, dst=b)
    return strip[(len(strip) - 1) // 2]


@lru_cache(maxsize=300)
def _steps_to_median(n: int) -> tuple[_Step, ...]:
    """Return the steps of a sorting network that the middle of n values depends on, first step first."""
    needed = {(n - 1) // 2}
    steps: list[_Step] = []
    for low, high in reversed(_sorting_network(n)):
        if low in needed or high in needed:
            steps.append((low, high, low in needed, high in needed))
            needed |= {low, high}
    return tuple(reversed(steps))


def _sorting_network(n: int) -> list[tuple[int, int]]:
    """Return Batcher's odd-even merge sort for n values as pairs of positions (low, high).

    Source:
        Knuth, The Art of Computer Programming, volume 3, section 5.2.2, algorithm M (merge exchange).
    """
    pairs: list[tuple[int, int]] = []
    top = 1 << max(0, (n - 1).bit_length() - 1)
    p = top
    while p > 0:
        q, r, distance = top, 0, p
        while True:
            pairs += [(i, i + distance) for i in range(n - distance) if i & p == r]
            if q == p:
                break
            distance, q, r = q - p, q // 2, p
        p //= 2
    return pairs
