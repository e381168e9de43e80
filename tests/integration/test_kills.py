"""The script of seeded kills, with a handful of points."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import REPOSITORY

TIMEOUT_S = 600


@pytest.mark.slow
def test_a_client_and_a_service_are_killed_and_catch_up(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "kills", "--points", "1", "--output", str(tmp_path)]
    for stage in ("capture", "promotion"):
        command += ["--stage", stage]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}

    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.endswith("recovered") for line in lines[:4]] == [True] * 4, lines
    assert "| client | capture | 1 |" in done.stdout
    assert "| server | promotion | 1 |" in done.stdout
