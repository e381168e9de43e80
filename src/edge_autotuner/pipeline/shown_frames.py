"""Chooses the test frames that the report shows: where two models differ, gains and losses as often as they happen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_autotuner.core.sampling import evenly_spread
from edge_autotuner.evaluation import PointCounts


def typical_frames(before: PointCounts, after: PointCounts, n_wanted: int) -> list[int]:
    """Return positions of at most so many frames, the most typical one first; the same counts, the same frames.

    A frame is a gain where the second model has more right boxes and fewer false ones in balance, else a loss. Of each
    kind, frames are taken evenly from its smallest to its largest difference. Where no frame differs: evenly in time.
    """
    gains = _balance(after) - _balance(before)  # (F,)
    kinds = [np.flatnonzero(gains > 0), np.flatnonzero(gains < 0)]
    n_differing = sum(map(len, kinds))
    if n_differing == 0:
        return [int(i) for i in evenly_spread(len(gains), n_wanted)]
    n_shown = min(n_wanted, n_differing)
    n_gains = min(round(n_shown * len(kinds[0]) / n_differing), len(kinds[0]))
    quotas = n_gains, min(n_shown - n_gains, len(kinds[1]))
    chosen = [
        int(frames[np.argsort(gains[frames], kind="stable")][i])
        for frames, quota in zip(kinds, quotas, strict=True)
        for i in _middles(len(frames), quota)
    ]
    middle = float(np.median(gains[gains != 0]))
    first = min(chosen, key=lambda i: (abs(gains[i] - middle), i))
    return [first, *(i for i in sorted(chosen) if i != first)]


def _middles(n_items: int, n_wanted: int) -> list[int]:
    """Return the middle position of each of equal parts of 0..n-1."""
    return [(2 * part + 1) * n_items // (2 * n_wanted) for part in range(n_wanted)]


def _balance(counts: PointCounts) -> npt.NDArray[np.int64]:
    return np.asarray(counts.n_found.sum(axis=1) - counts.n_false.sum(axis=1))
