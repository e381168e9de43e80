"""Device, precision and memory of a training."""

from __future__ import annotations

import ctypes

import torch

from edge_autotuner.config.training import Precision, TrainingDevice
from edge_autotuner.errors import ConfigError


def choose_device(wanted: TrainingDevice) -> torch.device:
    """Resolve the device; "auto" is CUDA if available.

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


def has_mixed_precision(wanted: Precision, device: torch.device, *, is_stable: bool = False) -> bool:
    """Whether convolutions are computed in bfloat16.

    "auto" means bfloat16 on a device that has it in hardware, else float32; on a CPU for networks that are stable in it
    only. It has float32's range, so gradients need no scaling. The weights, their average, the loss and the optimizer
    are float32 in any case.
    """
    if wanted != "auto":
        return wanted == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return is_stable and device.type == "cpu" and cpu_has_bfloat16()


def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (AVX512_BF16 or AMX); others take longer for it."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # of torch 2.6 and later, without public names
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in checks)


def return_free_memory() -> None:
    """Return free memory of this process to the system, if the C library can.

    A training frees memory between blocks still in use, in an arena per thread, and glibc would keep most of it.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)
