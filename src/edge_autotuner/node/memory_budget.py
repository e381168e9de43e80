"""Limits the memory of a process, before the kernel kills something more important.

Free memory is the minimum over the machine and every control group around this process.
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
        proc: root of the process files.
        groups: root of the control groups.
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
        """Return why the process has to end, one line; None while it need not, or where the kernel does not tell."""
        used_mb = used_memory_mb(self._pid, self._proc)
        if self._max_mb is not None and used_mb > self._max_mb:
            return f"it used {used_mb:.0f} MB of memory, background.max_memory_mb is {self._max_mb:.0f}"
        shortage = memory_shortage(self._min_free_mb, self._proc, self._groups)
        return f"it used {used_mb:.0f} MB of memory, and {shortage}" if shortage else None


def memory_shortage(
    min_free_mb: float, proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")
) -> str | None:
    """Return a problem when less memory is free than required; None if enough is, or if it is unknown."""
    free_mb = free_memory_mb(proc, groups)
    if free_mb is None or free_mb >= min_free_mb:
        return None
    return f"only {free_mb:.0f} MB were free, background.min_free_memory_mb is {min_free_mb:.0f}"


def used_memory_mb(pid: int, proc: Path = Path("/proc")) -> float:
    """Return the memory of a process and its descendants; pages that children share do not count."""
    total = 0
    for number, each in enumerate(_process_tree(pid, proc)):
        with suppress(OSError, ValueError, IndexError):  # it has ended
            _, resident, shared, *_ = (int(field) for field in (proc / str(each) / "statm").read_text().split())
            total += (resident if number == 0 else resident - shared) * _PAGE_BYTES
    return total / _MB


def free_memory_mb(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return the memory that is available without swapping; None where the kernel does not tell."""
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
    """Yield the free bytes of each control group of this process (cgroup v2 and v1)."""
    with suppress(OSError):
        for line in (proc / "self" / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                yield from _free_along(groups, path, ("memory.max", "memory.current", "inactive_file"))
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                yield from _free_along(groups / "memory", path, names)


def _free_along(root: Path, path: str, names: tuple[str, str, str]) -> Iterator[int]:
    """Yield the free bytes of a group and its parents; inside a container the root is the container's."""
    limit_name, used_name, cache_name = names
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for n in range(len(parts), -1, -1):
        group = root.joinpath(*parts[:n])
        with suppress(OSError, ValueError):  # no such group here, or no limit ("max")
            limit = int((group / limit_name).read_text())
            used = int((group / used_name).read_text())
            yield max(0, limit - used + _reclaimable(group / "memory.stat", cache_name))


def _reclaimable(file: Path, name: str) -> int:
    """Return the bytes of the page cache that the kernel can reclaim."""
    with suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0
