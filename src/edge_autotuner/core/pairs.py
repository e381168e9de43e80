"""Pairs of two kinds of things, each in one pair at most, taken one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_autotuner.core.types import IntArray

_Positions = IntArray | npt.NDArray[np.intp]


def pair_off(rows: _Positions, columns: _Positions, order: _Positions | Sequence[int]) -> tuple[IntArray, IntArray]:
    """Return the pairs that are taken if each row and each column may be in one of them only.

    Args:
        rows: (P,) of all pairs that are allowed.
        columns: (P,) of the same pairs.
        order: positions of the pairs, the one that is taken first in front.

    Returns:
        (M,) rows and columns, in the order in which they were taken.

    >>> rows, columns = pair_off(np.array([0, 0, 1]), np.array([5, 6, 5]), [2, 0, 1])
    >>> rows.tolist(), columns.tolist()
    ([1, 0], [5, 6])
    """
    column_of: dict[int, int] = {}
    taken: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in column_of and column not in taken:
            column_of[row] = column
            taken.add(column)
    return np.array(list(column_of), np.int64), np.array(list(column_of.values()), np.int64)
