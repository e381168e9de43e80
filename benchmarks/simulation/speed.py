"""Frames per second of the simulated world on one core, feature by feature in turns, and memory over a week."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.machine import memory_mb, one_core
from edge_autotuner.simulation.world import (
    SceneType,
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
    "everything at night": replace(_ALL, daylight=2),
}
_N_TURNS, _N_WARM, _N_RANDOM = 5, 100, 2000


def run_speed(scene: SceneType, *, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Time frames of processor time at 640x360 on one core, the features in turns; medians of the turns."""
    n = 20 if quick else 100
    with one_core():
        worlds = {name: _world(scene, conditions) for name, conditions in FEATURES.items()}
        for world in worlds.values():
            for index in range(_N_WARM):
                world.image(index)
        taken: dict[str, list[float]] = {name: [] for name in worlds}
        for turn in range(2 if quick else _N_TURNS):
            names = list(worlds)
            for name in names[turn:] + names[:turn]:  # the first one draws poses that all worlds share
                taken[name].append(_seconds_of(worlds[name], _N_WARM + turn * n, n))
    fps = {name: 1 / statistics.median(times) for name, times in taken.items()}
    say(f"{scene}: everything {fps['everything']:.0f} frames/s")
    return {"scene": scene, "fps": fps}


def _seconds_of(world: SimulatedWorld, first: int, n: int) -> float:
    """Return the processor time of a frame, mean of n."""
    before = time.process_time()
    for index in range(first, first + n):
        world.image(index)
    return (time.process_time() - before) / n


def _world(scene: SceneType, conditions: WorldConditions) -> SimulatedWorld:
    return SimulatedWorld(scene, n_frames=100_000, schedule=Steady(conditions))


def run_week(*, quick: bool) -> dict[str, Any]:
    """Draw all frames of the script `week` in order, then some at random; return what memory is resident when."""
    world = open_world(load_script("week"))
    n_days, per_day = 7, world.n_frames // 7
    resident = []
    with one_core():
        before = time.process_time()
        for day in range(n_days):
            for index in range(day * per_day, (day + 1) * per_day, 100 if quick else 1):
                world.image(index)
            resident.append(memory_mb())
        taken_s = time.process_time() - before
        draws = random.Random(1)
        for _ in range(20 if quick else _N_RANDOM):
            world.image(draws.randrange(world.n_frames))
    n_frames = n_days * len(range(0, per_day, 100 if quick else 1))
    return {
        "n_frames": n_frames, "of_frames": world.n_frames, "resident_mb": resident, "fps": n_frames / taken_s,
        "n_random": _N_RANDOM, "random_mb": memory_mb(),
    }  # fmt: skip
