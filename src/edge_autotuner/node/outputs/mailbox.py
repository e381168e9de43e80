"""Hands reports from the detection to a thread that may be slow; the oldest is dropped when there are too many."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """A bounded queue whose writers never wait, with one reader.

    The reader waits on `fileno()`, alone or together with a socket, and calls `release` when it ends.

    Args:
        capacity: most items that wait.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self._items: deque[Item] = deque()
        self._capacity = capacity
        self._lock = threading.Lock()
        self._signal = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether the reader is to end."""
        return self._is_closed

    def fileno(self) -> int:
        """Return a handle that is readable while something is there or the mailbox is closed."""
        return self._signal

    def put(self, item: Item) -> int:
        """Add an item; return how many are lost by that: the oldest, or this one when the mailbox is closed."""
        with self._lock:
            if self._is_closed:
                return 1
            n_lost = 0
            if len(self._items) == self._capacity:
                self._items.popleft()
                n_lost = 1
            self._items.append(item)
            os.eventfd_write(self._signal, 1)
            return n_lost

    def take_all(self) -> list[Item]:
        """Return what is there, oldest first, and leave nothing."""
        with self._lock:
            items = list(self._items)
            self._items.clear()
            if items and not self._is_closed:
                os.eventfd_read(self._signal)
            return items

    def wait(self, timeout_s: float | None) -> None:
        """Return when something is there, the mailbox is closed, or so much time has passed; None: no limit."""
        poll = select.poll()
        poll.register(self._signal, select.POLLIN)
        poll.poll(None if timeout_s is None else max(0.0, timeout_s) * 1000)

    def close(self) -> None:
        """Take nothing more; what is there can still be taken."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.eventfd_write(self._signal, 1)

    def release(self) -> None:
        """Give the handle back; only for the reader, as the last thing."""
        with self._lock:
            self._is_closed = True
            if self._signal >= 0:
                os.close(self._signal)
                self._signal = -1
