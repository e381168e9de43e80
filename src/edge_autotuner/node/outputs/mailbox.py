"""A bounded queue between the detection and the thread of an output; a full one drops its oldest item."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """A bounded queue whose writers never wait, with one reader.

    Args:
        capacity: most items that wait.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self._items: deque[Item] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._is_awake = False
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether the reader is to end."""
        return self._is_closed

    def put(self, item: Item) -> int:
        """Add an item; return how many are lost by that: the oldest, or this one when the mailbox is closed."""
        with self._changed:
            if self._is_closed:
                return 1
            n_lost = 0
            if len(self._items) == self._capacity:
                self._items.popleft()
                n_lost = 1
            self._items.append(item)
            self._changed.notify()
            return n_lost

    def take_all(self) -> list[Item]:
        """Remove and return all items, oldest first."""
        with self._changed:
            items = list(self._items)
            self._items.clear()
            return items

    def wait(self, timeout_s: float | None) -> None:
        """Return when something is there, at `wake` or `close`, or after a time limit; None: no limit."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._is_awake or self._is_closed, timeout_s)
            self._is_awake = False

    def wake(self) -> None:
        """End the reader's present or next `wait`."""
        with self._changed:
            self._is_awake = True
            self._changed.notify()

    def close(self) -> None:
        """Take nothing more; what is there can still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
