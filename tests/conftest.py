"""Fixtures and rules for all tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).resolve().parent))
collect_ignore = ["servers"]  # programs of their own, for other interpreters

# No example has a time limit and no strategy counts as too slow or too large: both depend on the machine. The examples
# are the same in every run, so that a failure comes from the change that is tested and from nothing else. The profile
# "search" draws new ones and keeps what failed in .hypothesis: scripts/test tests/property --hypothesis-profile=search
_OF_SPEED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
settings.register_profile("suite", deadline=None, suppress_health_check=_OF_SPEED, derandomize=True, database=None)
settings.register_profile("search", deadline=None, suppress_health_check=_OF_SPEED, print_blob=True)
settings.load_profile("suite")

if TYPE_CHECKING:
    from support.runs.run_samples import FinishedRun, Samples


@pytest.fixture(autouse=True)
def process_state() -> Iterator[None]:
    """Begin each test with the same seeds, and let none leave its process changed."""
    from support.machine.process_state import kept_process_state, seed_everything

    seed_everything()
    with kept_process_state():
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how to run the tests in this order again, also with -q."""
    seed = terminalreporter.config.getoption("randomly_seed", None)
    if terminalreporter.stats.keys() & {"failed", "error"} and seed is not None:
        terminalreporter.write_line(f"the order of this run: --randomly-seed={seed}")


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """Return a small video, an edge model and a teacher."""
    from support.runs.run_samples import write_samples

    return write_samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture(scope="session")
def finished_run(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Return a run of the whole job on the samples; tests that change its folder take a copy."""
    from support.runs.run_samples import finish_run

    return finish_run(samples, tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture(autouse=True)
def no_secrets_known() -> None:
    """Let no secret of an earlier test star the words of a later one."""
    from edge_autotuner.core.redaction import known_secrets

    known_secrets.clear()
