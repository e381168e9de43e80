"""Runs the benchmark of labels and writes its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.labels import judging, spurious
from benchmarks.labels.collect import Collection
from benchmarks.machine import describe_machine
from benchmarks.result_file import store_result
from edge_autotuner.core import Progress

RESULTS = Path(__file__).parent.parent / "results" / "labels.json"

PARTS: Mapping[str, Callable[..., Any]] = {
    "spurious": spurious.run_spurious,
    "judging": judging.run_judging,
    "check": judging.run_check,
}
TABLES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "spurious": spurious.spurious_table,
    "judging": judging.judging_table,
    "check": judging.check_table,
}


def run(folder: Path, *, parts: tuple[str, ...], quick: bool, progress: Progress) -> dict[str, Any]:
    """Measure some parts, and keep each of them as soon as it is there."""
    collection = Collection(folder, progress)
    results = {}
    for part in parts:
        results[part] = {"machine": describe_machine(), "measured": PARTS[part](collection, quick=quick)}
        if not quick:
            store_result(RESULTS, part, results[part])
    return results
