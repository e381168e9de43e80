"""How many objects of each class are there, without the flicker of single frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping


class Presence:
    """Counts of one camera's classes that rise at once, and fall when frames have not supported them for a while.

    The count of a class is the largest one of the last `clear_after_s` that were watched. Only a frame lets a count
    fall: while no frames come, nobody knows, and every count stays. The time without frames is no watched time.

    Args:
        clear_after_s: how long a count outlives the frame that it was seen in, seconds.
    """

    def __init__(self, clear_after_s: float) -> None:
        self._clear_after_s = clear_after_s
        self._watched_s = 0.0
        self._looked_s: float | None = None
        self._seen: dict[str, deque[tuple[float, int]]] = {}  # by class: times rise, counts fall

    def see(self, counts: Mapping[str, int], now_s: float) -> None:
        """Take what one frame showed; classes that are left out were not there. `now_s` never runs backwards."""
        gap_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        self._watched_s += min(gap_s, self._clear_after_s / 2)  # a longer gap is silence: two frames have to agree
        self._looked_s = now_s
        for name, count in counts.items():
            seen = self._seen.setdefault(name, deque())
            while seen and seen[-1][1] <= count:
                seen.pop()
            if count > 0:
                seen.append((self._watched_s, count))

    def count(self, name: str) -> int:
        """Return the count of a class by the frames so far."""
        seen = self._seen.get(name)
        while seen and self._watched_s >= seen[0][0] + self._clear_after_s:
            seen.popleft()
        return seen[0][1] if seen else 0

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget all other classes."""
        kept = set(names)
        self._seen = {name: seen for name, seen in self._seen.items() if name in kept}
