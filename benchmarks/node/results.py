"""The committed results of the node benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.result_file import store_result

RESULTS = Path(__file__).parent.parent / "results" / "node.json"


def store(part: str, measured: Mapping[str, Any]) -> None:
    """Keep the results of one benchmark in place of earlier ones."""
    store_result(RESULTS, part, measured)
