"""Runs the benchmark of the simulated world and writes its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine, machine_line
from benchmarks.markdown import table
from benchmarks.result_file import store_result
from benchmarks.simulation import accuracy, specialization, speed
from edge_autotuner.simulation.world import SCENE_TYPES

RESULTS = Path(__file__).parent.parent / "results" / "simulation.json"
_NOT_MEASURED = "Not measured yet."


def run(folder: Path, *, parts: tuple[str, ...], quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure some parts, and keep each of them as soon as it is there."""
    makers: dict[str, Callable[[], Any]] = {
        "detectors": lambda: accuracy.run_detectors(quick=quick, say=say),
        "teacher": lambda: accuracy.run_teacher(quick=quick, say=say),
        "poses": lambda: accuracy.run_poses(quick=quick),
        "speed": lambda: speed.run_speed(quick=quick, say=say),
        "week": lambda: speed.run_week(quick=quick),
        "specialization": lambda: specialization.run_specialization(
            folder / ("quick" if quick else "specialization"), quick=quick, say=say
        ),
    }
    results = {}
    for part in parts:
        results[part] = {"machine": describe_machine(), "measured": makers[part]()}
        if not quick:
            store_result(RESULTS, part, results[part])
    return results


def detector_table(results: Mapping[str, Any]) -> str:
    """Return what detectors score on each scene type and light."""
    rows = [row for part in ("teacher", "detectors") for row in results.get(part, {}).get("measured", [])]
    if not rows:
        return _NOT_MEASURED
    head = ["simulated scene", "light", "detector", "AP50 / AP50:95", "person AP50", "car AP50",
            f"people of {accuracy.LARGE_PX} px found", f"cars of {accuracy.LARGE_PX} px found"]  # fmt: skip
    return table(head, (
        [row["scene"], row["light"], row["detector"], f"{row['ap50']:.3f} / {row['ap']:.3f}",
         *(_number(row[name]["ap50"]) for name in ("person", "car")),
         *(f"{row[name]['n_large_found']} of {row[name]['n_large']}" for name in ("person", "car"))]
        for row in sorted(rows, key=_place)
    ))  # fmt: skip


def _place(row: Mapping[str, Any]) -> tuple[int, int]:
    return SCENE_TYPES.index(row["scene"]), list(accuracy.LIGHTS).index(row["light"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def pose_table(results: Mapping[str, Any]) -> str:
    """Return what pose models score."""
    rows = results.get("poses", {}).get("measured", [])
    if not rows:
        return _NOT_MEASURED
    return table(
        ["pose model", "mean OKS", "limb joints within 5 % of the height"],
        ([row["model"], f"{row['oks']:.3f}", f"{row['near']:.1%}"] for row in rows),
    )


def speed_table(results: Mapping[str, Any]) -> str:
    """Return frames per second of every feature."""
    rows = results.get("speed", {}).get("measured", [])
    if not rows:
        return _NOT_MEASURED
    names = [name for name in speed.FEATURES if name in rows[0]["fps"]]
    lines = ([row["scene"], *(f"{row['fps'][name]:.0f}" for name in names)] for row in rows)
    made = table(["simulated scene", *names], lines)
    return f"{made}\n\n{machine_line(results['speed']['machine'])}"


def specialization_table(results: Mapping[str, Any]) -> str:
    """Return what a specialized detector scores on its camera and on others."""
    rows = results.get("specialization", {}).get("measured", [])
    if not rows:
        return _NOT_MEASURED
    lines = (
        [row["camera"], row["model"].rpartition("-")[0], f"{row['ap50']:.3f} / {row['ap']:.3f}",
         *(_number(row[name]["ap50"]) for name in ("person", "car"))]
        for row in rows
    )  # fmt: skip
    return table(["simulated camera", "model", "AP50 / AP50:95", "person AP50", "car AP50"], lines)


def week_line(results: Mapping[str, Any]) -> str:
    """Return how memory went over a simulated week."""
    week = results.get("week", {}).get("measured")
    if not week:
        return _NOT_MEASURED
    days = ", ".join(f"{value:.0f}" for value in week["resident_mb"])
    if "random_mb" not in week:
        return (
            f"{week['n_frames']:,} of {week['of_frames']:,} frames of the script `week`, spread evenly: resident "
            f"memory at the end of each day {days} MB."
        )
    return (
        f"All {week['n_frames']:,} frames of the script `week` in order, {week['fps']:.0f} per second of processor "
        f"time: resident memory at the end of each day {days} MB; after {week['n_random']:,} more frames at random "
        f"{week['random_mb']:.0f} MB."
    )


TABLES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "detectors": detector_table,
    "teacher": detector_table,
    "poses": pose_table,
    "speed": speed_table,
    "week": week_line,
    "specialization": specialization_table,
}
"""Part -> what writes its table."""
