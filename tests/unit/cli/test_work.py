"""`edge-autotuner work`: the settings of the service, and a worker that runs until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config.server import ServerConfig
from edge_autotuner.server.jobs import process
from support.runs.cli_runs import run_cli


def test_the_worker_gets_the_settings_of_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def note(config: ServerConfig) -> None:
        seen.update(config=config)

    monkeypatch.setattr(process, "run_worker", note)
    settings = tmp_path / "serve.yaml"
    settings.write_text("jobs: {n_threads: 3}\n")
    outcome = run_cli("work", settings, "--data", tmp_path / "data", "--set", "jobs.priority=idle")
    assert outcome.code == 0, outcome.err
    jobs = seen["config"].jobs
    assert (jobs.n_threads, jobs.priority, seen["config"].data) == (3, "idle", tmp_path / "data")


def test_a_wrong_setting_is_refused(tmp_path: Path) -> None:
    outcome = run_cli("work", "--data", tmp_path, "--set", "jobs.n_threads=0")
    assert outcome.code == 2
    assert "jobs.n_threads" in outcome.err
