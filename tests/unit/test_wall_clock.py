"""Durations are not computed from the wall clock, which anybody may set: every place that does so is known, and why."""

from __future__ import annotations

import ast
from pathlib import Path

from helpers import REPOSITORY

SOURCE = REPOSITORY / "src" / "edge_autotuner"

KNOWN = {
    "node/batch_ages.py": "the one age rule of a node",
    "node/camera_collector.py": "a pause, which monotonic time ends as well",
    "cli/replay.py": "a person says what is old",
    "server/annotation/result_store.py": "forgets results of a cache",
    "server/blobs.py": "grace of uploads; removal waits until the collection trusts the clock",
    "server/collection_schedule.py": "decides whether the clock is believed",
    "server/garbage_collection.py": "called by the schedule only",
    "server/jobs/queue.py": "deadlines of jobs, which are wall times",
    "server/jobs/worker.py": "deadlines of jobs, which are wall times",
    "server/jobs/store.py": "deadlines of jobs, which are wall times",
    "server/jobs/tuning.py": "deadlines of jobs, which are wall times",
    "server/tokens.py": "tokens end at wall times",
}


def reads_wall_clock(node: ast.AST) -> bool:
    """Whether a wall time is in an expression: `now()`, `time.time()` or the time of a file."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            is_time = (
                inner.func.attr == "time" and isinstance(inner.func.value, ast.Name) and inner.func.value.id == "time"
            )
            if inner.func.attr in {"now", "utcnow"} or is_time:
                return True
        if isinstance(inner, ast.Attribute) and inner.attr in {"st_mtime", "st_ctime"}:
            return True
    return False


def computes_with_wall_clock(path: Path) -> bool:
    """Whether wall times are subtracted, added to or compared, directly or as a local name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and reads_wall_clock(node.value)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in {"now", "wall", "before"}
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Add):
            sides = [node.left, node.right]
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        else:
            continue
        if any(reads_wall_clock(side) or (isinstance(side, ast.Name) and side.id in names) for side in sides):
            return True
    return False


def test_every_place_that_computes_with_the_wall_clock_is_known() -> None:
    found = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if computes_with_wall_clock(path)}
    new = found - set(KNOWN)
    assert not new, f"{sorted(new)}: take monotonic time, or `node/batch_ages.py`; else say here why not"
    assert not set(KNOWN) - found, "they do so no more"
