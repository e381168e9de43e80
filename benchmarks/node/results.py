"""The committed results of the node benchmarks: one file, one key for each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_autotuner.storage.atomic import atomic_write_json

RESULTS = Path(__file__).parent.parent / "results" / "node.json"


def stored() -> dict[str, Any]:
    """Return what has been measured so far."""
    return dict(json.loads(RESULTS.read_text(encoding="utf-8"))) if RESULTS.is_file() else {}


def store(part: str, measured: Mapping[str, Any]) -> None:
    """Keep the results of one benchmark in place of earlier ones."""
    RESULTS.parent.mkdir(exist_ok=True)
    atomic_write_json(RESULTS, {**stored(), part: measured}, indent=2)
