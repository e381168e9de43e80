"""The table of what stages cost, and the process that measures one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.specialization.cost import Version, cost_table, run_cost
from edge_autotuner.errors import EdgeAutotunerError

RESULTS = {
    "stages": {
        "capture": {"before": {"cpu_s": 4.0, "wall_s": 4.0}, "now": {"cpu_s": 3.0, "wall_s": 3.0}},
        "export": {"before": {"cpu_s": 0.05, "wall_s": 0.1}, "now": {"cpu_s": 0.1, "wall_s": 0.1}},
        "training": {"before": {"cpu_s": 196.0, "wall_s": 99.0}, "now": {"cpu_s": 97.0, "wall_s": 50.0}},
    },
    "human": {"before": {"ap50": 0.93, "ap": 0.46}, "now": {"ap50": 0.94, "ap": 0.45}},
}


def test_the_table() -> None:
    lines = cost_table(RESULTS).splitlines()
    assert lines[0] == "| CPU seconds | before | now | ratio |"
    assert "| capture | 4.0 | 3.0 | 0.75 |" in lines
    assert "| export | 0.1 | 0.1 |  |" in lines  # a ratio of so little says nothing
    assert "| **all** | 200.1 | 100.1 | 0.50 |" in lines
    assert lines[-1] == "| AP50 / AP by human boxes | 0.930 / 0.460 | 0.940 / 0.450 |  |"


def test_a_stage_that_fails_says_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.specialization.cost.data_folder", lambda: tmp_path)
    versions = Version("before"), Version("now")
    with pytest.raises(EdgeAutotunerError, match="before, capture: "):
        run_cost(versions, tmp_path / "runs", seed=0)
