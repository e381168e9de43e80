"""Spreads training over the cores of a CPU: microbatches in parallel, and the next batch prefetched.

The layers of a small detector are too small to share: cores that work on one layer together wait for each other after
every layer. Pictures do not depend on each other, so each core takes a microbatch through the whole network instead.
How a batch is split depends only on its length, so the results are the same on any number of cores, as long as there
are no more cores than microbatches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate
from typing import Self, TypeVar

import torch
from torch import Tensor

MICROBATCH_SIZE = 4
"""Pictures per microbatch: few, so that more cores find work; with 2, a picture takes a tenth to a fifth longer."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

Features = tuple[Tensor, ...]


class MicrobatchWorkers:
    """Threads that each compute one microbatch on one core; a context manager.

    Several threads may submit work, but the workers themselves must not.

    Args:
        n_threads: cores to use; those beyond the number of microbatches help with the layers.
        batch_size: pictures of a usual batch.

    Raises:
        ValueError: there is no thread.
    """

    def __init__(self, n_threads: int = 1, *, batch_size: int = MICROBATCH_SIZE) -> None:
        if n_threads < 1:
            raise ValueError(f"n_threads must be at least 1, got {n_threads}")
        self.n_threads = n_threads
        n_workers = min(n_threads, -(-batch_size // MICROBATCH_SIZE))
        self._threads: ThreadPoolExecutor | None = None
        if n_workers > 1:  # else the calling thread computes everything
            n_cores_each = n_threads // n_workers
            self._threads = ThreadPoolExecutor(
                n_workers, "microbatch", initializer=torch.set_num_threads, initargs=(n_cores_each,)
            )

    def map(self, compute: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """Apply `compute` to each item with the caller's gradient and autocast modes.

        Raises the first error after all items are done.
        """
        if self._threads is None or len(items) < 2:
            return [compute(item) for item in items]
        has_gradients, is_mixed = torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")
        precision = torch.get_autocast_dtype("cpu")

        def compute_alike(item: _Item) -> _Result:
            with torch.set_grad_enabled(has_gradients), torch.autocast("cpu", precision, enabled=is_mixed):
                return compute(item)

        futures = [self._threads.submit(compute_alike, item) for item in items]
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]

    def close(self) -> None:
        """Let the threads end."""
        if self._threads is not None:
            self._threads.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def split_batch(features: Features, *, is_cut: bool) -> list[Features]:
    """Split features (B, ...) into microbatches; without `is_cut`, into one of all pictures."""
    if not is_cut:
        return [features]
    return list(zip(*(torch.split(level, MICROBATCH_SIZE) for level in features), strict=True))


def split_like(items: Sequence[_Item], microbatches: Sequence[Features]) -> list[Sequence[_Item]]:
    """Split one item per picture in the same way as `split_batch` split the features."""
    ends = list(accumulate(len(features[0]) for features in microbatches))
    return [items[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def sum_gradients(gradients: Sequence[Sequence[Tensor | None]], scale: float) -> list[Tensor | None]:
    """Return `scale` times the sum of the microbatches' gradients, always added in the same order.

    Args:
        gradients: per microbatch, one per parameter; None where no output depends on it. The first ones change.
        scale: of the sum.
    """
    totals = gradients[0]
    for other in gradients[1:]:
        pairs = [(a, b) for a, b in zip(totals, other, strict=True) if a is not None and b is not None]
        torch._foreach_add_([total for total, _ in pairs], [more for _, more in pairs])
    torch._foreach_mul_([total for total in totals if total is not None], scale)
    return list(totals)


@contextmanager
def prefetch(
    items: Sequence[_Item], make: Callable[[_Item], _Result], *, has_thread: bool
) -> Iterator[Iterator[_Result]]:
    """Yield an iterator over `make(item)`, in order, which makes the next one in another thread.

    Calls of `make` never overlap, and there are none after leaving the context. Its errors are raised in their turn.
    Without `has_thread`, nothing is made ahead.
    """
    if not has_thread:
        yield map(make, items)
        return
    with ThreadPoolExecutor(1, "prefetch", initializer=torch.set_num_threads, initargs=(1,)) as thread:
        try:
            yield _prefetched(items, lambda item: thread.submit(make, item))
        finally:
            thread.shutdown(cancel_futures=True)


def _prefetched(items: Sequence[_Item], submit: Callable[[_Item], Future[_Result]]) -> Iterator[_Result]:
    submitted = map(submit, items)
    current = next(submitted, None)
    while current is not None:
        made = current.result()
        current = next(submitted, None)
        yield made
