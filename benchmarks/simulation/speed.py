"""Frames per second of the simulated world on one core, feature by feature in turns, and memory over a week."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.machine import memory_mb, one_core
from edge_autotuner.simulation.world import (
    SCENE_TYPES,
    SimulatedWorld,
    Steady,
    WorldConditions,
    load_script,
    open_world,
)

_PLAIN = WorldConditions(overcast=32, noise=0, compression=0)
_ALL = WorldConditions(
    daylight=20, rain=20, fog=6, dirt=16, noise=6, n_dead_pixels=20, defocus=1, shake_px=3, compression=1
)  # fmt: skip
FEATURES = {
    "objects only": _PLAIN,
    "+ shadows": replace(_PLAIN, overcast=0),
    "+ noise": replace(_PLAIN, noise=4),
    "+ compression": replace(_PLAIN, compression=1),
    "+ rain and fog": replace(_PLAIN, rain=20, fog=6),
    "+ dirty lens": replace(_PLAIN, dirt=16),
    "+ defocus": replace(_PLAIN, defocus=1),
    "+ shake": replace(_PLAIN, shake_px=3),
    "everything": _ALL,
}
_N_TURNS, _N_WARM = 5, 100


def run_speed(*, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Time frames of processor time at 640x360 on one core, the features in turns; medians of the turns."""
    n = 20 if quick else 100
    rows = []
    with one_core():
        for scene in SCENE_TYPES:
            worlds = {name: _world(scene, conditions) for name, conditions in FEATURES.items()}
            for world in worlds.values():
                for index in range(_N_WARM):
                    world.image(index)
            taken: dict[str, list[float]] = {name: [] for name in worlds}
            for turn in range(2 if quick else _N_TURNS):
                names = list(worlds)
                for name in names[turn:] + names[:turn]:  # the first one draws poses that all worlds share
                    world = worlds[name]
                    first = _N_WARM + turn * n
                    before = time.process_time()
                    for index in range(first, first + n):
                        world.image(index)
                    taken[name].append((time.process_time() - before) / n)
            fps = {name: 1 / statistics.median(times) for name, times in taken.items()}
            rows.append({"scene": scene, "fps": fps})
            say(f"{scene}: everything {fps['everything']:.0f} frames/s")
    return rows


def _world(scene: Any, conditions: WorldConditions) -> SimulatedWorld:  # noqa: ANN401
    return SimulatedWorld(scene, n_frames=100_000, schedule=Steady(conditions))


def run_week(*, quick: bool) -> dict[str, Any]:
    """Draw frames spread over the script `week`, and say how much memory grew after the first day."""
    world = open_world(load_script("week"))
    n_days, per_day = 7, 10 if quick else 300
    resident = []
    for day in range(n_days):
        for number in range(per_day):
            world.image(day * 3000 + number * 3000 // per_day)
        resident.append(memory_mb())
    return {"n_frames": n_days * per_day, "of_frames": world.n_frames, "resident_mb": resident}
