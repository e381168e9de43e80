"""What several test files need: shared data, and small pictures with known content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def data_root() -> Path:
    """Return the folder of models and scenes that tests may read."""
    return Path(os.environ.get("EDGE_AUTOTUNER_DATA") or REPOSITORY.parent / "shared")


def shared_data(relative: str) -> Path:
    """Return a file or folder of the shared data, or skip the test that asks for it."""
    path = data_root() / relative
    if not path.exists():
        pytest.skip(f"needs {relative} in the folder that EDGE_AUTOTUNER_DATA names")
    return path
