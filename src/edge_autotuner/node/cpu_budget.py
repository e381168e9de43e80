"""Limits the CPU time of a process by stopping and continuing it; needs no privileges and no container."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from edge_autotuner.core import Clock

_BURST_S = 0.5
"""CPU seconds that may be used ahead of the budget; stopping more often costs more than it gains."""

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class CpuBudget:
    """Limits a process group to an average number of CPU seconds per second, by SIGSTOP and SIGCONT.

    Unused time is hardly saved up: after a pause the group gets a burst of half a second at most.

    Args:
        pid: of the group's leader, whose CPU time counts, that of its threads and finished children included.
        max_cores: CPU seconds per second.
        clock: of the budget.
    """

    def __init__(self, pid: int, max_cores: float, clock: Clock) -> None:
        if max_cores <= 0:
            raise ValueError(f"max_cores must be positive, got {max_cores}")
        self._pid, self._max_cores, self._clock = pid, max_cores, clock
        self._saved_s = _BURST_S
        self._used_s = cpu_seconds(pid) or 0.0
        self._seen_s = clock.monotonic_s()
        self.is_stopped = False

    def control(self) -> None:
        """Stop or continue the process by its use; call this about twenty times per second."""
        used_s = cpu_seconds(self._pid)
        if used_s is None:  # it has ended
            return
        now_s = self._clock.monotonic_s()
        earned_s = (now_s - self._seen_s) * self._max_cores
        self._saved_s = min(self._saved_s + earned_s, _BURST_S) - (used_s - self._used_s)
        self._used_s, self._seen_s = used_s, now_s
        if self._saved_s <= 0 and not self.is_stopped:
            self._send(signal.SIGSTOP)
            self.is_stopped = True
        elif self.is_stopped and self._saved_s >= _BURST_S / 2:
            self.release()

    def release(self) -> None:
        """Continue the process, for example so that it can end."""
        self._send(signal.SIGCONT)
        self.is_stopped = False

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._pid, number)


def cpu_seconds(pid: int) -> float | None:
    """Return the CPU time that a process has used, its threads and finished children included; None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before may hold anything; see proc(5)
    user, system, children_user, children_system = (int(field) for field in fields[11:15])
    return (user + system + children_user + children_system) / _TICKS_PER_S
