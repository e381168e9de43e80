"""The bounded queue of a model, and the rule for when a batch is ready.

A batch is ready when it is full, when its oldest picture has waited long enough, or when the model is idle. Under load,
batches therefore fill up while the model is busy, and a single client never waits for others.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class BatchRules:
    """Limits of batches and of the queue.

    Attributes:
        max_batch: most pictures in one call.
        max_wait_s: longest time that a picture waits for others while another call could start.
        max_items: most pictures in the queue, with those being decoded.
        max_pixels: most pixels of these.
    """

    max_batch: int
    max_wait_s: float
    max_items: int
    max_pixels: int
    n_parallel: int = 1


class Place:
    """A place in the queue, held from the admission of a picture on."""

    def __init__(self, n_pixels: int) -> None:
        self.n_pixels = n_pixels


class BatchQueue(Generic[_Item]):
    """The queue of one model; callers pass the time, in seconds of any clock."""

    def __init__(self, rules: BatchRules) -> None:
        self._rules = rules
        self._held: set[Place] = set()
        self._n_pixels = 0
        self._waiting: OrderedDict[Place, tuple[float, _Item]] = OrderedDict()
        self._n_running = 0
        self._n_in_calls = 0

    @property
    def n_held(self) -> int:
        """Pictures in the queue, with those being decoded."""
        return len(self._held)

    @property
    def n_ahead(self) -> int:
        """Pictures before one that would arrive now."""
        return len(self._held) + self._n_in_calls

    def reserve(self, n_pixels: list[int]) -> list[Place] | None:
        """Return a place for each picture; None without room for all of them."""
        rules = self._rules
        if len(self._held) + len(n_pixels) > rules.max_items or self._n_pixels + sum(n_pixels) > rules.max_pixels:
            return None
        places = [Place(n) for n in n_pixels]
        self._held.update(places)
        self._n_pixels += sum(n_pixels)
        return places

    def release(self, place: Place) -> None:
        """Free a place; nothing happens if it was freed or is in a call."""
        if place in self._held:
            self._held.remove(place)
            self._n_pixels -= place.n_pixels
        self._waiting.pop(place, None)

    def add(self, place: Place, item: _Item, now_s: float) -> None:
        """Add a picture at its place."""
        if place not in self._held:
            raise ValueError("this place was freed")
        self._waiting[place] = (now_s, item)

    def take(self, now_s: float) -> list[_Item]:
        """Return the next batch, for a call that `finished` ends; empty if none is ready."""
        wait_s = self.wait_s(now_s)
        if wait_s is None or wait_s > 0:
            return []
        places = list(self._waiting)[: self._rules.max_batch]
        batch = [self._waiting[place][1] for place in places]
        for place in places:
            self.release(place)
        self._n_running += 1
        self._n_in_calls += len(batch)
        return batch

    def finished(self, n_items: int) -> None:
        """Count the end of a call with this many pictures."""
        self._n_running -= 1
        self._n_in_calls -= n_items

    def wait_s(self, now_s: float) -> float | None:
        """Return the time until a batch is ready, 0 if one is; None if only another event can make one ready."""
        if not self._waiting or self._n_running >= self._rules.n_parallel:
            return None
        if self._n_running == 0 or len(self._waiting) >= self._rules.max_batch:
            return 0.0
        oldest_s = next(iter(self._waiting.values()))[0]
        return max(0.0, oldest_s + self._rules.max_wait_s - now_s)
