"""The tables of the simulated world's benchmark."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from benchmarks.machine import machine_line
from benchmarks.markdown import table
from benchmarks.simulation import accuracy, poses, specialization, speed
from edge_autotuner.simulation.world import SCENE_TYPES, SceneType

_NOT_MEASURED = "Not measured yet."
Results = Mapping[str, Any]


def detector_table(results: Results) -> str:
    """Return what detectors score on each scene type and light."""
    rows = [row for group in ("teacher", "detectors") for one in _of_scenes(results, group) for row in one]
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


def pose_table(results: Results) -> str:
    """Return what pose models score on single people."""
    rows = results.get("poses/plain", {}).get("measured", [])
    if not rows:
        return _NOT_MEASURED
    return table(
        ["pose model", "mean OKS", "limb joints within 5 % of the height"],
        ([row["model"], f"{row['oks']:.3f}", f"{row['near']:.1%}"] for row in rows),
    )


def scene_pose_table(results: Results) -> str:
    """Return the share of joints found of people in scenes, by day and by night."""
    rows = [row for one in _of_scenes(results, "poses") for row in one]
    if not rows:
        return _NOT_MEASURED
    models = list(dict.fromkeys(row["model"] for row in rows))
    share = {(row["scene"], row["light"], row["model"]): row for row in rows}
    places = [(scene, light) for scene in SCENE_TYPES for light in poses.SCENE_LIGHTS
              if (scene, light, models[0]) in share]  # fmt: skip
    return table(
        ["simulated scene", "light", "joints seen", *models],
        ([scene, light, str(share[scene, light, models[0]]["n_joints"]),
          *(_share(share[scene, light, model]) for model in models)] for scene, light in places),
    )  # fmt: skip


def speed_table(results: Results) -> str:
    """Return frames per second of every feature."""
    rows = list(_of_scenes(results, "speed"))
    if not rows:
        return _NOT_MEASURED
    lines = ([row["scene"], *(_fps(row["fps"].get(name)) for name in speed.FEATURES)] for row in rows)
    machine = next(results[f"speed/{scene}"]["machine"] for scene in SCENE_TYPES if f"speed/{scene}" in results)
    return f"{table(['simulated scene', *speed.FEATURES], lines)}\n\n{machine_line(machine)}"


def specialization_table(results: Results) -> str:
    """Return what specialized detectors score on their camera and on others: means and half ranges over seeds."""
    lines = [line for scene in specialization.TESTS for line in _specialized(results, scene)]
    if not lines:
        return _NOT_MEASURED
    head = ["learnt from", "simulated camera", "labels", "AP50", "AP50:95", "person AP50", "car AP50"]
    return table(head, lines)


def week_line(results: Results) -> str:
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


def _of_scenes(results: Results, group: str) -> Iterator[Any]:
    found = (results.get(f"{group}/{scene}") for scene in SCENE_TYPES)
    return (one["measured"] for one in found if one is not None)


def _place(row: Mapping[str, Any]) -> tuple[int, int]:
    return SCENE_TYPES.index(row["scene"]), list(accuracy.LIGHTS).index(row["light"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _fps(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _share(row: Mapping[str, Any]) -> str:
    return f"{row['n_near'] / row['n_joints']:.1%}" if row["n_joints"] else "-"


def _specialized(results: Results, scene: SceneType) -> Iterator[list[str]]:
    for number in range(len(specialization.TESTS[scene])):
        for labels in ("start", *specialization.LABELS):
            keys = [f"specialization/{scene}/{labels}"]
            if labels != "start":
                keys = [f"{keys[0]}/seed-{seed}" for seed in specialization.SEEDS]
            rows = [results[key]["measured"][number] for key in keys if key in results]
            if rows:
                named = "none: the start" if labels == "start" else labels
                seeds = f", {len(rows)} seeds" if len(rows) > 1 else ""
                yield [f"a {scene}", rows[0]["camera"], named + seeds, *(_spread(map(of, rows)) for of in _SCORES)]


_SCORES: tuple[Callable[[Mapping[str, Any]], float | None], ...] = (
    lambda row: row["ap50"], lambda row: row["ap"], lambda row: row["person"]["ap50"], lambda row: row["car"]["ap50"],
)  # fmt: skip


def _spread(values: Iterable[float | None]) -> str:
    """Return mean and half the range; of one value, itself."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return _number(known[0] if known else None)
    return f"{statistics.mean(known):.3f} ± {(max(known) - min(known)) / 2:.3f}"
