"""How fast the gate is beside decoding alone and beside two usual ways, on one core; and how much memory it needs.

Everything is timed in one run and in turns, so that a slow minute of the machine hits all of them. What is
compared are ratios within a round; of those, the median over the rounds counts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.capture.clip import clip_of
from benchmarks.capture.contenders import CONTENDERS
from benchmarks.capture.frigate_chain import FrigateChain
from benchmarks.machine import describe_machine, one_core
from benchmarks.scenes import data_folder
from edge_autotuner.capture import MotionGate, VideoFile
from edge_autotuner.capture.background import pixel_median
from edge_autotuner.config import BackgroundConfig, MotionConfig
from edge_autotuner.core import Frame
from edge_autotuner.core.types import ImageArray
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.storage.atomic import atomic_write_json

RESULTS = Path(__file__).parent.parent / "results" / "capture_speed.json"

N_FRAMES, N_ROUNDS = 240, 3
"""Of a full run."""

_QUICK_FRAMES, _QUICK_ROUNDS = 45, 1
_GATE_FRAMES, _GATE_RATES_HZ = 120, (10.0, 25.0)
_STACKS = ((15, (480, 270)), (30, (480, 270)), (15, (1920, 1080)), (30, (1920, 1080)))


def run_speed(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Time everything and return the results; those of a full run are stored.

    Args:
        folder: keeps the clip.
        quick: a short clip, one round, nothing stored: to see that it works.

    Raises:
        ConfigError: there is no data folder.
        MissingDependency: the clip cannot be encoded here.
    """
    n_frames, n_rounds = (_QUICK_FRAMES, _QUICK_ROUNDS) if quick else (N_FRAMES, N_ROUNDS)
    clip = clip_of(data_folder(), folder, n_frames)
    memory = measure_memory(clip)  # first: what this process takes later would be in the new process's peak
    with one_core():
        rounds = [_time_round(clip, n_frames) for _ in range(n_rounds)]
        medians = [_compare_medians(n, size_wh, n_rounds) for n, size_wh in _STACKS]
        gates = [compare_gates(clip, rate_hz, 3 * n_rounds) for rate_hz in _GATE_RATES_HZ]
    results = {
        "machine": describe_machine(),
        "clip": {"n_frames": n_frames, "bytes_per_frame": round(clip.stat().st_size / n_frames)},
        "seconds": {name: [one[name] for one in rounds] for name in CONTENDERS},
        "median": medians,
        "gates": gates,
        "memory": memory,
    }
    if not quick:
        RESULTS.parent.mkdir(exist_ok=True)
        atomic_write_json(RESULTS, results, indent=2)
    return results


def frames_per_s(results: Mapping[str, Any], name: str) -> float:
    """Return the median over the rounds."""
    return float(results["clip"]["n_frames"] / statistics.median(results["seconds"][name]))


def speed_ratio(results: Mapping[str, Any], name: str, other: str) -> float:
    """Return how many times as fast one is as the other: the median of the ratios within a round."""
    pairs = zip(results["seconds"][name], results["seconds"][other], strict=True)
    return float(statistics.median(theirs / own for own, theirs in pairs))


def gate_ms(results: Mapping[str, Any]) -> float:
    """Return what the gate adds to decoding, milliseconds per frame."""
    pairs = zip(results["seconds"]["gate"], results["seconds"]["decode"], strict=True)
    return float(statistics.median((both - alone) * 1000 / results["clip"]["n_frames"] for both, alone in pairs))


def compare_gates(clip: Path, rate_hz: float, n_rounds: int) -> dict[str, Any]:
    """Return milliseconds per decoded frame, in each round, of our gate and of `FrigateChain`, in turns.

    Args:
        clip: its first frames are decoded beforehand.
        rate_hz: their time stamps are set to this; at higher rates our gate learns from fewer of them.
        n_rounds: of both.
    """
    frames = [_at_rate(frame, rate_hz) for frame in islice(VideoFile(clip).frames(), _GATE_FRAMES)]

    def ms_of_both() -> tuple[float, float]:
        ours, theirs = MotionGate(MotionConfig(), BackgroundConfig()), FrigateChain()
        return _ms_per_frame(ours.look, frames), _ms_per_frame(theirs.look, frames)

    rounds = [ms_of_both() for _ in range(n_rounds + 1)][1:]  # the first one warms up
    return {"rate_hz": rate_hz, "ours_ms": [ours for ours, _ in rounds], "frigate_ms": [other for _, other in rounds]}


def gate_ratio(compared: Mapping[str, Any]) -> float:
    """Return our gate's time as a share of `FrigateChain`'s: the median of the ratios within a round."""
    pairs = zip(compared["ours_ms"], compared["frigate_ms"], strict=True)
    return float(statistics.median(ours / theirs for ours, theirs in pairs))


def measure_memory(clip: Path) -> dict[str, float]:
    """Return the memory of a new process that decodes the clip and looks for motion; see `benchmarks.capture.memory`.

    Raises:
        EdgeAutotunerError: the process failed.
    """
    command = [sys.executable, "-m", "benchmarks.capture.memory", str(clip.resolve())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=RESULTS.parent.parent.parent)
    if done.returncode != 0:
        raise EdgeAutotunerError(f"the memory measurement failed: {done.stderr.strip().splitlines()[-1]}")
    return {name: float(value) for name, value in json.loads(done.stdout).items()}


def _at_rate(frame: Frame, rate_hz: float) -> Frame:
    return replace(frame, time_s=frame.index / rate_hz)


def _ms_per_frame(look: Callable[[Frame], object], frames: Sequence[Frame]) -> float:
    return _seconds(lambda: [look(frame) for frame in frames]) * 1000 / len(frames)


def _time_round(clip: Path, n_frames: int) -> dict[str, float]:
    return {name: _seconds_of_all(open_clip(clip), n_frames) for name, open_clip in CONTENDERS.items()}


def _compare_medians(n_pictures: int, size_wh: tuple[int, int], n_rounds: int) -> dict[str, Any]:
    """Time the exact median against numpy's on the same stack, and make sure that it is exact."""
    width, height = size_wh
    stack = np.random.default_rng(0).integers(0, 256, (n_pictures, height, width)).astype(np.uint8)
    ours = [_seconds(lambda: pixel_median(stack)) for _ in range(4 * n_rounds + 1)][1:]  # the first one warms up
    theirs = [_seconds(lambda: np.median(stack, axis=0)) for _ in range(n_rounds)]
    return {
        "n_pictures": n_pictures,
        "size_wh": list(size_wh),
        "is_exact": is_exact(stack),
        "ours_ms": statistics.median(ours) * 1000,
        "numpy_ms": statistics.median(theirs) * 1000,
    }


def is_exact(stack: ImageArray) -> bool:
    """Whether our median equals numpy's; of an even count, whether it is the lower of the two that numpy averages."""
    if len(stack) % 2:
        return bool((pixel_median(stack) == np.median(stack, axis=0)).all())
    return bool((pixel_median(stack) == np.percentile(stack, 50, axis=0, method="lower")).all())


def _seconds_of_all(looks: Iterator[object], n_frames: int) -> float:
    started_s = time.perf_counter()
    if sum(1 for _ in looks) != n_frames:
        raise ValueError(f"the clip must have {n_frames} frames")
    return time.perf_counter() - started_s


def _seconds(run: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    run()
    return time.perf_counter() - started_s
