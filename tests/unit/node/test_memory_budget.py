"""What a process uses and what is free, by what the kernel says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_autotuner.node.memory_budget import (
    MemoryBudget,
    free_memory_mb,
    memory_shortage,
    used_memory_mb,
)

PAGE = os.sysconf("SC_PAGE_SIZE")


def kernel(folder: Path, *, available_kb: int = 1_000_000, cgroup: str = "0::/\n") -> tuple[Path, Path]:
    """Return folders such as /proc and /sys/fs/cgroup."""
    proc, groups = folder / "proc", folder / "groups"
    (proc / "self").mkdir(parents=True)
    groups.mkdir()
    (proc / "meminfo").write_text(f"MemTotal: 4000000 kB\nMemFree: 100 kB\nMemAvailable: {available_kb} kB\n")
    (proc / "self" / "cgroup").write_text(cgroup)
    return proc, groups


def process(proc: Path, pid: int, *, resident: int, shared: int, children: tuple[int, ...] = ()) -> None:
    task = proc / str(pid) / "task" / str(pid)
    task.mkdir(parents=True)
    (proc / str(pid) / "statm").write_text(f"99999 {resident} {shared} 1 0 5 0\n")
    (task / "children").write_text(" ".join(map(str, children)) + " ")


def group(path: Path, limit: str, used: int, cache: int, *, version: int = 2) -> None:
    path.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    (path / names[0]).write_text(f"{limit}\n")
    (path / names[1]).write_text(f"{used}\n")
    key = "inactive_file" if version == 2 else "total_inactive_file"
    (path / "memory.stat").write_text(f"anon 5\n{key} {cache}\n")


def test_what_children_share_counts_once(tmp_path: Path) -> None:
    proc, _ = kernel(tmp_path)
    process(proc, 7, resident=1000, shared=400, children=(8, 9))
    process(proc, 8, resident=600, shared=400, children=(10,))
    process(proc, 10, resident=500, shared=400)
    assert used_memory_mb(7, proc) == pytest.approx((1000 + 200 + 100) * PAGE / 1e6), "9 has ended meanwhile"
    assert used_memory_mb(11, proc) == 0.0


def test_this_process_uses_memory() -> None:
    assert 10 < used_memory_mb(os.getpid()) < 10_000


@pytest.mark.parametrize(
    ("cgroup", "path", "version", "limit", "expected_mb"),
    [
        pytest.param("0::/\n", ".", 2, "500000000", 250, id="a container of version 2"),
        pytest.param("0::/a/b\n", "a/b", 2, "500000000", 250, id="a service"),
        pytest.param("0::/a/b\n", "a", 2, "500000000", 250, id="its slice"),
        pytest.param("0::/a\n", "a", 2, "max", 1024, id="no limit"),
        pytest.param("5:cpu:/\n4:memory:/docker/x\n", "memory/docker/x", 1, "500000000", 250, id="version 1"),
        pytest.param("4:memory:/docker/x\n", "memory", 1, "500000000", 250, id="version 1 in a container"),
        pytest.param("0::/../../x\n", ".", 2, "500000000", 250, id="a path that leads out"),
        pytest.param("0::/a\n", "a", 2, "nonsense", 1024, id="not a number"),
    ],
)
def test_the_smallest_limit_counts(
    cgroup: str, path: str, version: int, limit: str, expected_mb: float, tmp_path: Path
) -> None:
    proc, groups = kernel(tmp_path, cgroup=cgroup)
    group(groups / path, limit, 300_000_000, 50_000_000, version=version)
    assert free_memory_mb(proc, groups) == pytest.approx(expected_mb)


def test_without_the_kernels_files_nothing_is_known(tmp_path: Path) -> None:
    assert free_memory_mb(tmp_path, tmp_path) is None
    assert memory_shortage(1e9, tmp_path, tmp_path) is None
    assert MemoryBudget(7, max_mb=None, min_free_mb=1e9, proc=tmp_path, groups=tmp_path).excess() is None


def test_too_much_is_said_with_the_setting(tmp_path: Path) -> None:
    proc, groups = kernel(tmp_path, available_kb=100_000)
    process(proc, 7, resident=round(200e6 / PAGE), shared=0)
    budget = MemoryBudget(7, max_mb=150, min_free_mb=50, proc=proc, groups=groups)
    assert budget.excess() == "it used 200 MB of memory, background.max_memory_mb is 150"
    budget = MemoryBudget(7, max_mb=250, min_free_mb=50, proc=proc, groups=groups)
    assert budget.excess() is None
    budget = MemoryBudget(7, max_mb=None, min_free_mb=150, proc=proc, groups=groups)
    assert budget.excess() == (
        "it used 200 MB of memory, and only 102 MB were free, background.min_free_memory_mb is 150"
    )


def test_a_learner_is_killed_before_the_node() -> None:
    """In a process of its own: nobody may take the value back."""
    code = (
        "from edge_autotuner.storage.child_process import be_killed_first; be_killed_first();"
        "print(open('/proc/self/oom_score_adj').read())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1000"
