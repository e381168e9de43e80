"""Where a training computes, and in which precision."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from edge_autotuner.config.training import Precision, TrainingDevice
from edge_autotuner.errors import ConfigError


def choose_device(wanted: TrainingDevice) -> torch.device:
    """Return the device that a setting means; "auto" is CUDA where there is one.

    Raises:
        ConfigError: CUDA is wanted, and torch finds none.
    """
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ConfigError(
            "training.device: torch finds no CUDA device; install a CUDA build of torch, or use cpu or auto"
        )
    return torch.device("cuda")


def has_mixed_precision(wanted: Precision, device: torch.device) -> bool:
    """Return whether convolutions are computed in bfloat16.

    "auto" means bfloat16 on a CUDA device that has it in hardware, else float32. It has float32's range, so gradients
    need no scaling. The weights, their average, the loss and the optimizer are float32 in any case.
    """
    if wanted != "auto":
        return wanted == "bfloat16"
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


@contextmanager
def cpu_threads(n_threads: int | None) -> Iterator[None]:
    """Compute with this many CPU threads inside the block; None leaves their number as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def return_free_memory() -> None:
    """Give the system the memory that is free in this process, where the C library can do that.

    What a training has freed lies between what is still used, in an arena for each of its threads: without this, the
    C library keeps most of it for ever.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)
