"""Processes that give way to others, and that do not outlive who started them."""

from __future__ import annotations

import ctypes
import os
import signal

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def die_with(parent: int) -> None:
    """Let the kernel kill this process when the one that started it dies, even while it is stopped.

    Args:
        parent: its process id; where it died already, this process ends at once.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def lower_priority(priority: str) -> None:
    """Leave the cores to others; threads that are made later inherit it.

    Args:
        priority: idle, low or normal.
    """
    if priority == "normal":
        return
    os.nice(19)
    if priority == "idle":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
