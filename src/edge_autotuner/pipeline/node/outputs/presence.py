"""How many objects of each class are there, without the flicker of single frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping


class Presence:
    """Counts of one camera's classes that rise at once, and fall when nothing has supported them for a while.

    The count of a class is the largest one of the last `clear_after_s`. Classes that were never seen count as 0.

    Args:
        clear_after_s: how long a count outlives the frame that it was seen in, seconds.
    """

    def __init__(self, clear_after_s: float) -> None:
        self._clear_after_s = clear_after_s
        self._seen: dict[str, deque[tuple[float, int]]] = {}  # by class: times rise, counts fall

    def see(self, counts: Mapping[str, int], now_s: float) -> None:
        """Take what one frame showed; classes that are left out were not there."""
        for name, count in counts.items():
            seen = self._seen.setdefault(name, deque())
            while seen and seen[-1][1] <= count:
                seen.pop()
            if count > 0:
                seen.append((now_s, count))

    def count(self, name: str, now_s: float) -> int:
        """Return the count of a class; `now_s` never runs backwards."""
        seen = self._seen.get(name)
        while seen and now_s >= seen[0][0] + self._clear_after_s:
            seen.popleft()
        return seen[0][1] if seen else 0

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget all other classes."""
        kept = set(names)
        self._seen = {name: seen for name, seen in self._seen.items() if name in kept}

    def next_change_s(self) -> float:
        """Return when a count falls if nothing is seen any more; infinite when all are 0."""
        return min((seen[0][0] + self._clear_after_s for seen in self._seen.values() if seen), default=float("inf"))
