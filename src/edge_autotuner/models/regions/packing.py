"""Packs rectangles into a canvas of fixed size, on shelves."""

from __future__ import annotations

from collections.abc import Sequence

from edge_autotuner.core.types import SizeWH

Corner = tuple[int, int]


def pack_on_shelves(sizes_wh: Sequence[SizeWH], canvas_wh: SizeWH, *, gap_px: int = 0) -> list[Corner] | None:
    """Return the top left corner of each rectangle on the canvas, in the given order; None if they do not fit.

    The tallest come first; each stands on the first shelf with room. No two overlap, and all are inside.

    Args:
        sizes_wh: whole pixels, at least 1 each.
        canvas_wh: whole pixels.
        gap_px: between neighbours.

    Source:
        First-fit decreasing height: Coffman, Garey, Johnson and Tarjan, Performance Bounds for Level-Oriented
        Two-Dimensional Packing Algorithms, SIAM J. Comput. 9 (4), 1980.
    """
    width, height = canvas_wh
    corners: list[Corner] = [(0, 0)] * len(sizes_wh)
    shelves: list[list[int]] = []  # y, height, x of the free rest
    for number in sorted(range(len(sizes_wh)), key=lambda i: (-sizes_wh[i][1], -sizes_wh[i][0], i)):
        wide, high = sizes_wh[number]
        shelf = next((one for one in shelves if one[1] >= high and one[2] + wide <= width), None)
        if shelf is None:
            y = shelves[-1][0] + shelves[-1][1] + gap_px if shelves else 0
            if wide > width or y + high > height:
                return None
            shelf = [y, high, 0]
            shelves.append(shelf)
        corners[number] = shelf[2], shelf[0]
        shelf[2] += wide + gap_px
    return corners
