"""Wakes requests that wait for a camera's next deployed bundle."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class DeploymentNews:
    """Notifies waiting requests of this process about deployments; may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(set)
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether requests no longer wait."""
        return self._is_closed

    @contextmanager
    def subscribed(self, camera: str) -> Iterator[asyncio.Event]:
        """Give an event of the running loop that the next deployment of a camera sets."""
        waiting = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting[camera].add(waiting)
        try:
            yield waiting[1]
        finally:
            with self._lock:
                self._waiting[camera].discard(waiting)
                if not self._waiting[camera]:
                    del self._waiting[camera]

    def tell(self, camera: str) -> None:
        """Wake the requests that wait for a camera."""
        with self._lock:
            _wake(self._waiting.get(camera, ()))

    def close(self) -> None:
        """Wake all requests, so that they do not delay the end of the service."""
        with self._lock:
            self._is_closed = True
            for waiting in self._waiting.values():
                _wake(waiting)


def _wake(waiting: Iterable[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
    for loop, event in waiting:
        if not loop.is_closed():
            loop.call_soon_threadsafe(event.set)
