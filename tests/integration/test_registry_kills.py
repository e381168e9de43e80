"""A process that is killed while it uploads, adds, promotes or collects leaves the old state or the new one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import REPOSITORY


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_no_kill_leaves_anything_half_done(tmp_path: Path, seed: int) -> None:
    command = [sys.executable, "-W", "error", "-m", "support.service.registry_kills", str(tmp_path), str(seed)]
    tests = REPOSITORY / "tests"
    done = subprocess.run(command, cwd=tests, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["wrong"] == []
    assert {stage for stage, n_kills in result["kills"].items() if n_kills >= 10} >= {
        "upload",
        "add",
        "promote",
        "collect",
    }
