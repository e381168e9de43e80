"""What in the data folder is the service's: only that is closed to others, whatever else somebody keeps there."""

from __future__ import annotations

from pathlib import Path

_OWN = {"blobs", "jobs"}
_DATABASES = ("service.sqlite", "results.sqlite")  # SQLite's files beside them begin in the same way


def is_of_service(path: Path) -> bool:
    """Whether what is directly in the data folder was made by the service."""
    return path.name in _OWN or path.name.startswith(_DATABASES)
