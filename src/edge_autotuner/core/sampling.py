"""Picks items evenly from a sequence, all at once or in an order whose every beginning is even."""

from __future__ import annotations

import numpy as np

from edge_autotuner.core.types import IntArray


def evenly_spread(n_items: int, n_wanted: int) -> IntArray:
    """Return at most `n_wanted` positions in 0..n-1, rising, from the first to the last.

    >>> evenly_spread(9, 3).tolist(), evenly_spread(2, 3).tolist(), evenly_spread(0, 3).tolist()
    ([0, 4, 8], [0, 1], [])
    """
    return np.linspace(0, n_items - 1, min(n_wanted, n_items)).round().astype(np.int64)


def spread_order(n_items: int) -> list[int]:
    """Return 0..n-1 so that every beginning of the list covers the range evenly (bit reversal).

    >>> spread_order(6)
    [0, 4, 2, 1, 5, 3]
    """
    n_bits = max(n_items - 1, 0).bit_length()
    reversed_bits = (int(f"{i:0{n_bits}b}"[::-1], 2) for i in range(1 << n_bits))
    return [i for i in reversed_bits if i < n_items]
