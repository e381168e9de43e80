"""Committed results of several benchmarks in one file, one key for each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_autotuner.storage.atomic import atomic_write_json


def read_results(path: Path) -> dict[str, Any]:
    """Return what has been measured so far."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def store_result(path: Path, part: str, measured: Mapping[str, Any]) -> None:
    """Keep the results of one benchmark in place of earlier ones."""
    path.parent.mkdir(exist_ok=True)
    atomic_write_json(path, {**read_results(path), part: measured}, indent=2)
