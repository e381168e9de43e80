"""What the service makes in its data folder is known as its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_autotuner.server.data_folder import BLOBS_FOLDER, DATABASE_FILE, JOBS_FOLDER, RESULTS_FILE, is_of_service


@pytest.mark.parametrize("name", [JOBS_FOLDER, BLOBS_FOLDER, DATABASE_FILE, RESULTS_FILE, f"{DATABASE_FILE}-wal"])
def test_its_own(name: str) -> None:
    assert is_of_service(Path("data") / name)


@pytest.mark.parametrize("name", [".ssh", "photos", "notes.sqlite", "blobs-of-mine"])
def test_somebody_elses(name: str) -> None:
    assert not is_of_service(Path("data") / name)
