"""Committed results of several benchmarks in one file, one key for each of them."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_autotuner.storage.atomic import atomic_write_json


def read_results(path: Path) -> dict[str, Any]:
    """Return what has been measured so far."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def store_result(path: Path, part: str, measured: Mapping[str, Any]) -> None:
    """Keep the results of one benchmark in place of earlier ones; several processes may do so at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        atomic_write_json(path, {**read_results(path), part: measured}, indent=2)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
