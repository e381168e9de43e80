"""A training is known by what its result depends on, and not by where things lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config import RunConfig
from edge_autotuner.errors import DatasetError
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.pipeline.training_identity import settings_fingerprint, take_snapshot, training_fingerprint
from support.runs.described_runs import write_reservoir, write_run

EDGE = "ee" * 32


def config(**training: Any) -> RunConfig:
    return RunConfig.model_validate({"training": training})


def fingerprint(run: RunFolder, **training: Any) -> str:
    return settings_fingerprint(run, config(**training), EDGE)


def test_only_what_the_result_depends_on_counts(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    plain = fingerprint(run)
    assert plain == fingerprint(run, deadline_s=60, n_threads=1, device="cpu")
    assert len({plain, fingerprint(run, n_epochs=3), fingerprint(run, replay={"folder": "a"})}) == 3
    assert settings_fingerprint(run, RunConfig(), "ff" * 32) != plain


def test_it_counts_what_is_in_a_reservoir_and_not_where_it_lies(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    write_reservoir(tmp_path)
    whole = {}
    for name in ("reservoir", "elsewhere", "empty"):
        if name == "elsewhere":
            (tmp_path / "reservoir").rename(tmp_path / name)
        there = config(replay={"folder": str(tmp_path / name)})
        snapshot = take_snapshot(run, there, settings_fingerprint(run, there, EDGE))
        assert snapshot is not None
        assert snapshot.exists
        whole[name] = training_fingerprint(run, there, EDGE)
    assert whole["reservoir"] == whole["elsewhere"] != whole["empty"]


def test_without_a_reservoir_there_is_no_snapshot(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    assert take_snapshot(run, RunConfig(), "f") is None
    assert training_fingerprint(run, RunConfig(), EDGE) == fingerprint(run)


def test_a_run_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no finished annotation"):
        fingerprint(RunFolder(tmp_path))
