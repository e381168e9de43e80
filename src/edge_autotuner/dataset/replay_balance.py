"""Chooses the pictures to drop from a full reservoir: classes share it equally, and times within a class.

Each picture belongs to one group per class that it shows and, inside it, to one per time. The picture to go comes
from the class with the most pictures, there from the time with the most, and there it is the one with the highest
key, a hash of what names the picture. A picture that shows several classes counts as one of its rarest, so nothing
rare is dropped while something plentiful is there.

Sources: keeping the lowest of random keys is reservoir sampling, a fair sample however many pictures were offered and
in whatever order (Vitter, Random Sampling with a Reservoir, ACM TOMS 11(1), 1985; by keys: Efraimidis & Spirakis,
Weighted random sampling with a reservoir, 2006). That the fullest group gives way is the greedy balancing of Prabhu
et al., GDumb, ECCV 2020.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from edge_autotuner.core.types import IntArray


@dataclass(frozen=True)
class Candidate:
    """What the choice needs to know of one picture.

    Attributes:
        key: pseudo-random, in [0, 1); the highest of a group is dropped first.
        classes: what it shows, each once; empty for a picture without objects, which is a class of its own.
        era: when it was taken; equal for pictures of one time.
        n_bytes: size of its file.
    """

    key: float
    classes: tuple[str, ...]
    era: str
    n_bytes: int


def choose_kept(candidates: Sequence[Candidate], *, max_pictures: int, max_bytes: int) -> list[int]:
    """Return the indices, rising, of at most `max_pictures` of at most `max_bytes` together that stay; both may be 0.

    The answer does not depend on the order of the candidates, unless keys are equal.
    """
    if not candidates:
        return []
    n_left, bytes_left = len(candidates), sum(c.n_bytes for c in candidates)
    keys = np.array([c.key for c in candidates])
    of_class = _memberships([c.classes or ("",) for c in candidates])
    of_time = _memberships([[(name, c.era) for name in c.classes or ("",)] for c in candidates])
    is_kept = np.ones(len(candidates), bool)
    while n_left > max_pictures or bytes_left > max_bytes:
        victim = _first_to_go(is_kept, keys, of_class, of_time)
        is_kept[victim] = False
        n_left, bytes_left = n_left - 1, bytes_left - candidates[victim].n_bytes
    return [int(i) for i in np.flatnonzero(is_kept)]


def _first_to_go(is_kept: np.ndarray, keys: np.ndarray, of_class: IntArray, of_time: IntArray) -> int:
    """Return the kept picture of the fullest class, there of the fullest time, there with the highest key."""
    in_class, in_time = _sizes(of_class, is_kept), _sizes(of_time, is_kept)
    rarest = in_class.argmin(axis=1)  # (P,) column of each picture's rarest class; the first of equal ones
    rows = np.arange(len(keys))
    order = np.lexsort((keys, in_time[rows, rarest], in_class[rows, rarest], is_kept))
    return int(order[-1])


def _memberships(groups: Sequence[Sequence[Hashable]]) -> IntArray:
    """Return (P, M) numbers of each picture's groups, M the most that one has; -1 where it has fewer."""
    numbers: dict[Hashable, int] = {}
    table = np.full((len(groups), max(len(names) for names in groups)), -1, np.int64)
    for row, names in enumerate(groups):
        table[row, : len(names)] = [numbers.setdefault(name, len(numbers)) for name in names]
    return table


def _sizes(table: IntArray, is_kept: np.ndarray) -> IntArray:
    """Return (P, M) how many kept pictures each group has; more than any group has where there is no group."""
    counts = np.bincount(table[is_kept].ravel() + 1, minlength=int(table.max()) + 2)
    counts[0] = len(table) + 1
    return np.asarray(counts[table + 1], np.int64)
