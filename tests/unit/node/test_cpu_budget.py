"""A process uses no more than its share of the machine, and is never left stopped by mistake."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_autotuner.core import FakeClock, SystemClock
from edge_autotuner.node.cpu_budget import CpuBudget, cpu_seconds

BURST_S = 0.5


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """A process that computes for ever, in a group of its own."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"], process_group=0)
    yield process
    process.kill()
    process.wait()


def wait_for_state(process: subprocess.Popen[bytes], options: int) -> None:
    """Wait until the process has been stopped, or goes on: signals to a running one take a moment."""
    assert os.waitid(os.P_PID, process.pid, options | os.WNOWAIT) is not None


def wait_until_used(process: subprocess.Popen[bytes], seconds: float) -> None:
    while (cpu_seconds(process.pid) or 0.0) < seconds:
        time.sleep(0.01)


def test_a_busy_process_is_kept_within_its_share(busy: subprocess.Popen[bytes]) -> None:
    """An upper bound: between two controls the process may use whatever it gets, however late the second one is."""
    share, tick_s = 0.2, 0.05
    budget = CpuBudget(busy.pid, share, SystemClock())
    began_s, used_before_s = time.monotonic(), cpu_seconds(busy.pid) or 0.0
    used_s, controlled_s, latest_s = 0.0, began_s, 0.0
    while used_s < 1.0:  # which it may have used after 2.5 s, and would have after one
        budget.control()
        latest_s, controlled_s = max(latest_s, time.monotonic() - controlled_s), time.monotonic()
        time.sleep(0.02)
        used_s = (cpu_seconds(busy.pid) or 0.0) - used_before_s
    now_s = time.monotonic()
    latest_s = max(latest_s, now_s - controlled_s)
    assert used_s <= share * (now_s - began_s) + BURST_S + latest_s + tick_s


def test_it_goes_on_when_the_budget_allows(busy: subprocess.Popen[bytes]) -> None:
    clock = FakeClock()
    budget = CpuBudget(busy.pid, 0.5, clock)
    wait_until_used(busy, 0.8)
    budget.control()
    assert budget.is_stopped
    wait_for_state(busy, os.WSTOPPED)
    budget.control()
    assert budget.is_stopped, "no time has passed"
    clock.advance(10.0)
    budget.control()
    assert not budget.is_stopped
    wait_for_state(busy, os.WCONTINUED)


def test_time_of_rest_is_not_saved_up(busy: subprocess.Popen[bytes]) -> None:
    clock = FakeClock()
    budget = CpuBudget(busy.pid, 1.0, clock)
    clock.advance(1000.0)
    budget.control()
    wait_until_used(busy, (cpu_seconds(busy.pid) or 0.0) + BURST_S + 0.2)
    budget.control()
    assert budget.is_stopped


def test_release_lets_a_stopped_process_end(busy: subprocess.Popen[bytes]) -> None:
    budget = CpuBudget(busy.pid, 0.1, FakeClock())
    wait_until_used(busy, 0.8)
    budget.control()
    wait_for_state(busy, os.WSTOPPED)
    busy.terminate()
    budget.release()
    assert busy.wait(300) < 0


def test_a_process_that_is_gone(busy: subprocess.Popen[bytes]) -> None:
    budget = CpuBudget(busy.pid, 0.1, FakeClock())
    busy.kill()
    busy.wait()
    budget.control()
    assert cpu_seconds(busy.pid) is None
    budget.release()


def test_names_with_brackets_and_blanks_are_read(tmp_path: Path) -> None:
    script = tmp_path / "a) R (b"
    script.symlink_to(sys.executable)
    process = subprocess.Popen([str(script), "-c", "import time; time.sleep(600)"])
    try:
        assert cpu_seconds(process.pid) is not None
    finally:
        process.kill()
        process.wait()


def test_no_share_at_all() -> None:
    with pytest.raises(ValueError, match="must be positive, got 0"):
        CpuBudget(os.getpid(), 0.0, FakeClock())
