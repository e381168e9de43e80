"""Names of what the service keeps in its data folder: only that is closed to others, and nothing else there."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.server.jobs.folder import JOBS_FOLDER

RESULTS_FILE = "results.sqlite"
DATABASE_FILE = "service.sqlite"
BLOBS_FOLDER = "blobs"

OWN_NAMES = frozenset({DATABASE_FILE, RESULTS_FILE, BLOBS_FOLDER, JOBS_FOLDER})


def is_of_service(path: Path) -> bool:
    """Whether what is directly in the data folder was made by the service."""
    # SQLite's files beside a database begin with its name
    return path.name in OWN_NAMES or path.name.startswith((DATABASE_FILE, RESULTS_FILE))
