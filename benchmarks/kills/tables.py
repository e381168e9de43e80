"""The results of the seeded kills as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COUNTS = ("kills", "second_kills", "full_disks", "bad_links", "skewed_clocks", "recovered")


def kills_table(results: Mapping[str, Any]) -> str:
    """Return kills, and what came with them, by side and stage; the last line is the sum."""
    lines = [
        "| side | stage | kills | killed again | full disks | bad links | skewed clocks | recovered | failed |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rows = results["stages"]
    for row in rows:
        counts = " | ".join(str(row[name]) for name in _COUNTS)
        lines.append(f"| {row['side']} | {row['stage']} | {counts} | {len(row['failures'])} |")
    sums = " | ".join(str(sum(row[name] for row in rows)) for name in _COUNTS)
    return "\n".join([*lines, f"| both | all | {sums} | {sum(len(row['failures']) for row in rows)} |"])


def kills_line(results: Mapping[str, Any]) -> str:
    """Return what was played, in one sentence."""
    rows = results["stages"]
    n_missed = sum(row["missed"] for row in rows)
    missed = f"; {n_missed} struck nothing" if n_missed else ""
    left = f"; {results['n_left']} points are left" if results["n_left"] else ""
    return (
        f"{len(results['points'])} points of seed {results['seed']} in {results['seconds'] / 60:.0f} minutes"
        f"{missed}{left}."
    )
