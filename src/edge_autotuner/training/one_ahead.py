"""Makes the next batch while the network learns from the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


@contextmanager
def one_ahead(items: Sequence[_Item], make: Callable[[_Item], _Made], *, has_thread: bool) -> Iterator[Iterator[_Made]]:
    """Give what `make` returns for each item, in order; the next one is made in another thread meanwhile.

    `make` is never called twice at the same time, and not at all any more when the context is left. What it raises is
    raised in its turn.

    Args:
        items: to make something of.
        make: does so.
        has_thread: whether there may be another thread; without it, nothing is made ahead.
    """
    if not has_thread:
        yield map(make, items)
        return
    with ThreadPoolExecutor(1, "ahead", initializer=torch.set_num_threads, initargs=(1,)) as thread:
        try:
            yield _made_ahead(items, lambda item: thread.submit(make, item))
        finally:
            thread.shutdown(cancel_futures=True)


def _made_ahead(items: Sequence[_Item], begin: Callable[[_Item], Future[_Made]]) -> Iterator[_Made]:
    begun = map(begin, items)
    current = next(begun, None)
    while current is not None:
        made = current.result()
        current = next(begun, None)
        yield made
