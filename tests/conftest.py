"""Fixtures and rules for all tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
collect_ignore = ["servers"]  # programs of their own, for other interpreters

if TYPE_CHECKING:
    from run_samples import FinishedRun, Samples


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """Return a small video, an edge model and a teacher."""
    from run_samples import write_samples

    return write_samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture(scope="session")
def finished_run(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Return a run of the whole job on the samples; tests that change its folder take a copy."""
    from run_samples import finish_run

    return finish_run(samples, tmp_path_factory.mktemp("finished") / "run")
