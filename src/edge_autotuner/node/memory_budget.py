"""Says when a process uses more memory than it may, before the kernel ends something more important.

The memory that is free is the smallest of what the machine and each control group around this process has to give.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MB = 1e6
_KB = 1024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class MemoryBudget:
    """The memory that a process, its children included, may use beside the detection.

    Args:
        max_mb: most that it may use; None: only what is free counts.
        min_free_mb: what must stay free on the machine.
        proc: where the kernel tells about processes.
        groups: where it tells about control groups.
    """

    def __init__(
        self,
        pid: int,
        *,
        max_mb: float | None,
        min_free_mb: float,
        proc: Path = Path("/proc"),
        groups: Path = Path("/sys/fs/cgroup"),
    ) -> None:
        self._pid, self._max_mb, self._min_free_mb = pid, max_mb, min_free_mb
        self._proc, self._groups = proc, groups

    def excess(self) -> str | None:
        """Return why the process has to end, one line; None while all is well, or where the kernel tells nothing."""
        used_mb = used_memory_mb(self._pid, self._proc)
        if self._max_mb is not None and used_mb > self._max_mb:
            return f"it used {used_mb:.0f} MB of memory, background.max_memory_mb is {self._max_mb:.0f}"
        shortage = memory_shortage(self._min_free_mb, self._proc, self._groups)
        return f"it used {used_mb:.0f} MB of memory, and {shortage}" if shortage else None


def memory_shortage(
    min_free_mb: float, proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")
) -> str | None:
    """Return what is wrong when less memory is free than must be; None if enough is, or if nobody knows."""
    free_mb = free_memory_mb(proc, groups)
    if free_mb is None or free_mb >= min_free_mb:
        return None
    return f"only {free_mb:.0f} MB were free, background.min_free_memory_mb is {min_free_mb:.0f}"


def used_memory_mb(pid: int, proc: Path = Path("/proc")) -> float:
    """Return the memory of a process and of its descendants; what children share with others counts once, as 0."""
    total = 0
    for number, each in enumerate(_process_tree(pid, proc)):
        with suppress(OSError, ValueError, IndexError):  # it has ended
            _, resident, shared, *_ = (int(field) for field in (proc / str(each) / "statm").read_text().split())
            total += (resident if number == 0 else resident - shared) * _PAGE_BYTES
    return total / _MB


def free_memory_mb(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return what programs can still get without swapping; None where the kernel does not tell."""
    known = [bytes_ for bytes_ in (_free_of_machine(proc), *_free_of_groups(proc, groups)) if bytes_ is not None]
    return min(known) / _MB if known else None


def _process_tree(pid: int, proc: Path) -> Iterator[int]:
    yield pid
    for file in (proc / str(pid) / "task").glob("*/children"):
        with suppress(OSError):
            for child in file.read_text().split():
                yield from _process_tree(int(child), proc)


def _free_of_machine(proc: Path) -> int | None:
    with suppress(OSError):
        for line in (proc / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * _KB
    return None


def _free_of_groups(proc: Path, groups: Path) -> Iterator[int]:
    """Yield what is free in each control group that this process is in, of version 2 and 1 of the interface."""
    with suppress(OSError):
        for line in (proc / "self" / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                yield from _free_along(groups, path, ("memory.max", "memory.current", "inactive_file"))
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                yield from _free_along(groups / "memory", path, names)


def _free_along(root: Path, path: str, names: tuple[str, str, str]) -> Iterator[int]:
    """Yield what is free in a group and in those around it; inside a container the root is the container's own."""
    limit_name, used_name, cache_name = names
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for n in range(len(parts), -1, -1):
        group = root.joinpath(*parts[:n])
        with suppress(OSError, ValueError):  # no such group here, or no limit ("max")
            limit = int((group / limit_name).read_text())
            used = int((group / used_name).read_text())
            yield max(0, limit - used + _reclaimable(group / "memory.stat", cache_name))


def _reclaimable(file: Path, name: str) -> int:
    """Return the bytes of files that the kernel can forget."""
    with suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0
