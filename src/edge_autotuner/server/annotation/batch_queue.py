"""Which pictures go into the next call of a model: a bounded queue, and the rule for when a batch is ready.

A batch goes when it is full, when its oldest picture has waited long enough, or when the model does nothing. Under
load, batches therefore fill up while the model is busy, and a single client never waits for others.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class BatchRules:
    """How pictures are put together.

    Attributes:
        max_batch: most pictures of one call.
        max_wait_s: longest time that a picture waits for others while the model has a call to spare.
        max_items: most pictures that wait, or have their place already while they are decoded.
        max_pixels: most pixels of these.
        n_parallel: calls at the same time.
    """

    max_batch: int
    max_wait_s: float
    max_items: int
    max_pixels: int
    n_parallel: int = 1


class Place:
    """A place in the queue, held from the moment that a picture is admitted."""

    def __init__(self, n_pixels: int) -> None:
        self.n_pixels = n_pixels


class BatchQueue(Generic[_Item]):
    """The queue of one model. Times are given, in seconds of any clock."""

    def __init__(self, rules: BatchRules) -> None:
        self._rules = rules
        self._held: set[Place] = set()
        self._n_pixels = 0
        self._waiting: OrderedDict[Place, tuple[float, _Item]] = OrderedDict()
        self._n_running = 0
        self._n_in_calls = 0

    @property
    def n_held(self) -> int:
        """Pictures that wait or are being decoded."""
        return len(self._held)

    @property
    def n_ahead(self) -> int:
        """Pictures that have to be done before one that would come now."""
        return len(self._held) + self._n_in_calls

    def reserve(self, n_pixels: list[int]) -> list[Place] | None:
        """Return a place for each of some pictures; None if there is not enough room for all."""
        rules = self._rules
        if len(self._held) + len(n_pixels) > rules.max_items or self._n_pixels + sum(n_pixels) > rules.max_pixels:
            return None
        places = [Place(n) for n in n_pixels]
        self._held.update(places)
        self._n_pixels += sum(n_pixels)
        return places

    def release(self, place: Place) -> None:
        """Give a place back; one that was given back or is in a call is left alone."""
        if place in self._held:
            self._held.remove(place)
            self._n_pixels -= place.n_pixels
        self._waiting.pop(place, None)

    def add(self, place: Place, item: _Item, now_s: float) -> None:
        """Let a picture wait, at the place that it was given."""
        if place not in self._held:
            raise ValueError("this place was given back")
        self._waiting[place] = (now_s, item)

    def take(self, now_s: float) -> list[_Item]:
        """Return the next batch, for a call that `finished` ends; nothing while none is ready."""
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
        """Note that a call with so many pictures has ended."""
        self._n_running -= 1
        self._n_in_calls -= n_items

    def wait_s(self, now_s: float) -> float | None:
        """Return the time until a batch is ready, 0 if one is; None while only another event can make one ready."""
        if not self._waiting or self._n_running >= self._rules.n_parallel:
            return None
        if self._n_running == 0 or len(self._waiting) >= self._rules.max_batch:
            return 0.0
        oldest_s = next(iter(self._waiting.values()))[0]
        return max(0.0, oldest_s + self._rules.max_wait_s - now_s)
