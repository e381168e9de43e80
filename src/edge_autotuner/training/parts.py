"""Computes with the parts of a batch at the same time, one core for each.

The layers of a small detector are too small to be shared out: cores that work on one layer together wait for each other
after every layer, and for whatever else the machine does. Pictures do not depend on each other, so each core takes
some of them through the whole network instead. How a batch is cut depends on nothing but its length: the numbers that
come out are the same on any number of cores, as long as there are no more of them than parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from types import TracebackType
from typing import Self, TypeVar

import torch
from torch import Tensor

PART_SIZE = 2
"""Pictures of a part: as few as keep the cost of starting a layer low, so that more cores find work."""

_Part = TypeVar("_Part")
_Answer = TypeVar("_Answer")
_Item = TypeVar("_Item")

Features = tuple[Tensor, ...]


class PartWorkers:
    """Threads that compute one part each, with one core each; a context manager.

    They may be asked by several threads, and must not be asked by themselves.

    Attributes:
        n_threads: cores to use.
    """

    def __init__(self, n_threads: int = 1, *, batch_size: int = PART_SIZE) -> None:
        """Start the threads; where one is enough, everything is computed by the thread that asks.

        Args:
            n_threads: cores to use; those that are more than parts help with their layers.
            batch_size: pictures of a usual batch.

        Raises:
            ValueError: there is no thread.
        """
        if n_threads < 1:
            raise ValueError(f"n_threads must be at least 1, got {n_threads}")
        self.n_threads = n_threads
        n_workers = min(n_threads, -(-batch_size // PART_SIZE))
        self._threads: ThreadPoolExecutor | None = None
        if n_workers > 1:
            n_cores_each = n_threads // n_workers
            self._threads = ThreadPoolExecutor(
                n_workers, "part", initializer=torch.set_num_threads, initargs=(n_cores_each,)
            )

    def map(self, compute: Callable[[_Part], _Answer], parts: Sequence[_Part]) -> list[_Answer]:
        """Return what `compute` makes of each part; its first error is raised when all parts are over.

        Gradients and precision are those of the thread that asks.
        """
        if self._threads is None or len(parts) < 2:
            return [compute(part) for part in parts]
        has_gradients, is_mixed = torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")
        precision = torch.get_autocast_dtype("cpu")

        def compute_alike(part: _Part) -> _Answer:
            with torch.set_grad_enabled(has_gradients), torch.autocast("cpu", precision, enabled=is_mixed):
                return compute(part)

        answers = [self._threads.submit(compute_alike, part) for part in parts]
        errors = [error for answer in answers if (error := answer.exception()) is not None]
        if errors:
            raise errors[0]
        return [answer.result() for answer in answers]

    def close(self) -> None:
        """Let the threads end."""
        if self._threads is not None:
            self._threads.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def in_parts(features: Features, *, is_cut: bool) -> list[Features]:
    """Return features (B, ...) as those of `PART_SIZE` pictures each, or all together."""
    if not is_cut:
        return [features]
    return list(zip(*(torch.split(level, PART_SIZE) for level in features), strict=True))


def in_parts_like(items: Sequence[_Item], parts: Sequence[Features]) -> list[Sequence[_Item]]:
    """Return one item for each picture as those of the parts that `in_parts` made."""
    ends = list(accumulate(len(part[0]) for part in parts))
    return [items[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def add_up(gradients: Sequence[Sequence[Tensor | None]], scale: float) -> list[Tensor | None]:
    """Return `scale` times the sum of what the parts say of each parameter; always added in the same order.

    Args:
        gradients: of each part, one for each parameter, None where no output depends on it; the first ones change.
        scale: of the sum.
    """
    totals = gradients[0]
    for other in gradients[1:]:
        pairs = [(a, b) for a, b in zip(totals, other, strict=True) if a is not None and b is not None]
        torch._foreach_add_([total for total, _ in pairs], [more for _, more in pairs])
    torch._foreach_mul_([total for total in totals if total is not None], scale)
    return list(totals)
