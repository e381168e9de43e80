"""The machine that a benchmark ran on: what to say about it, and how to use one core of it."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from edge_autotuner import __version__


def describe_machine() -> dict[str, Any]:
    """Return processor and versions; nothing that names the machine or its user."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pyav": av.__version__,
        "edge_autotuner": __version__,
    }


def machine_line(machine: Mapping[str, Any]) -> str:
    """Return the description in one line.

    >>> machine_line({"cpu": "Fast 9000", "cores": 4, "python": "3.11.2", "opencv": "5.0", "pyav": "18.1"})
    'Fast 9000, 4 cores, Python 3.11.2, OpenCV 5.0, PyAV 18.1'
    """
    return (
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, "
        f"OpenCV {machine['opencv']}, PyAV {machine['pyav']}"
    )


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Let this thread, and those that it starts, run on a single core, OpenCV without threads of its own.

    FFmpeg counts the cores that it may use, so that it decodes in one thread, too.
    """
    allowed, n_threads = os.sched_getaffinity(0), cv2.getNumThreads()
    os.sched_setaffinity(0, {max(allowed)})
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
        cv2.setNumThreads(n_threads)


def memory_mb(field: str = "VmRSS") -> float:
    """Return a size of this process from the kernel, MB of 10^6 bytes: VmRSS now, VmHWM the largest so far."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kib = next(line.split()[1] for line in status.splitlines() if line.startswith(f"{field}:"))
    return int(kib) * 1024 / 1e6


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.machine()
