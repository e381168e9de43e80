"""Processes several frames in parallel and yields the results in order.

A detector that spreads one picture over all cores leaves them idle whenever it resizes, decodes or merges; one core per
frame leaves none idle.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


def n_cores(n_threads: int | None) -> int:
    """Return how many frames to look at at the same time: one per thread of the settings, None for all cores."""
    return n_threads or len(os.sched_getaffinity(0))


def threads_each(n_threads: int | None, n_parallel: int) -> int | None:
    """Return the CPU threads of a detector that looks at `n_parallel` frames at the same time; None for all cores."""
    return n_threads if n_parallel == 1 else 1


def look_ahead(
    items: Iterable[_Item],
    look: Callable[[_Item], _Answer],
    *,
    n_threads: int,
    stop: Callable[[], object] = lambda: None,
) -> Iterator[tuple[_Item, _Answer]]:
    """Yield each item with what `look` says about it, in order.

    An item is taken from `items` when a thread is free for it; at most one more answer than there are threads waits.
    What `look` raises is raised in its turn, after all earlier answers; what is in work then is finished and dropped.

    Args:
        items: may be endless, or stop when it wants to.
        look: called from other threads, several at once.
        n_threads: how many; 1: from the calling thread.
        stop: called when an error or Ctrl-C ends this early: makes calls of `look` that wait for others end soon.

    Raises:
        ValueError: there is no thread.
    """
    if n_threads < 1:
        raise ValueError(f"n_threads must be at least 1, got {n_threads}")
    if n_threads == 1:
        for item in items:
            yield item, look(item)
        return
    remaining = iter(items)
    with ThreadPoolExecutor(n_threads, thread_name_prefix="look") as threads:
        waiting: deque[tuple[_Item, Future[_Answer]]] = deque()
        try:
            while True:
                for item in islice(remaining, n_threads + 1 - len(waiting)):
                    waiting.append((item, threads.submit(look, item)))
                if not waiting:
                    return
                item, answer = waiting.popleft()
                yield item, answer.result()
        except BaseException:
            stop()
            raise
        finally:
            for _, answer in waiting:
                answer.cancel()
