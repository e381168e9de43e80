"""How fast a node detects, without and with tuning beside it; in turns, in one run. Needs a quiet machine.

The node is a real process that watches a recording, at the recording's own pace or as fast as it can, looks at every
frame, and hands its reports to this process. Beside it, in a process that it starts itself, a batch of that recording
is labelled or trained on, within the default share of the processor.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.node.clips import repeated_clip
from benchmarks.node.process import CAMERA, Line, NodeProcess
from benchmarks.node.results import store
from benchmarks.scenes import PETS, data_folder
from edge_autotuner.config.node import LearningProcessConfig
from edge_autotuner.core import NoProgress, Progress
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.node.camera_folder import BatchOutcome, CameraFolder
from edge_autotuner.node.cpu_budget import cpu_seconds

Stage = Literal["annotation", "training"]
Priority = Literal["idle", "low", "normal"]

STAGES: tuple[Stage, ...] = ("annotation", "training")
PRIORITIES: tuple[Priority, ...] = ("idle", "low", "normal")
PACES = {"own pace": True, "as fast as possible": False}  # whether the recording is played as if live

_N_REPEATS = 16  # of the clip, so that it never ends while somebody measures
_VIDEO_S = 79.5  # of the clip
_LONGEST_S = 300.0  # for anything that is waited for


@dataclass(frozen=True)
class Plan:
    """How long the benchmark is.

    Attributes:
        window_s: of each measurement.
        n_train: frames of the batch.
        n_test: frames for its evaluation.
        stages: of the tuning that is measured beside; one round each.
        priorities: of the tuning.
    """

    window_s: float = 10.0
    n_train: int = 240
    n_test: int = 60
    stages: tuple[Stage, ...] = STAGES
    priorities: tuple[Priority, ...] = PRIORITIES


QUICK = Plan(window_s=3.0, n_train=60, n_test=10, stages=("annotation",), priorities=("low",))


@dataclass(frozen=True)
class Measured:
    """What one measurement has found.

    Attributes:
        frames_per_s: that were looked at and reported.
        p50_ms: from the picture to its report at the reader; None where the recording is not played as if live.
        p99_ms: the same.
        gap_p99_ms: time between two reports.
        n_frames: that were reported.
        n_dropped: that were not, because the node was busy.
        tuning_cores: processor seconds per second of the learning process.
        other_cores: the same of everything but the node and that process; a quiet machine has none.
    """

    frames_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    gap_p99_ms: float
    n_frames: int
    n_dropped: int
    tuning_cores: float
    other_cores: float


def run_rate(*, quick: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Measure, store the results, and return them.

    Args:
        quick: a short run, to see that it works; nothing is stored.
        progress: told of measurements.

    Raises:
        ConfigError: there is no data folder.
        EdgeAutotunerError: a node ended, or a batch was finished before the measurement was.
    """
    plan, progress, load_before = QUICK if quick else Plan(), progress or NoProgress(), os.getloadavg()[0]
    n_measurements = len(plan.stages) * len(PACES) * (1 + len(plan.priorities))
    with tempfile.TemporaryDirectory(prefix="node-rate-") as name:
        folder = Path(name)
        clip = repeated_clip(data_folder() / PETS.source, folder / "clip.avi", _N_REPEATS)
        progress.start("measurements", n_measurements + 1)
        _prepare(folder, plan)
        progress.advance()
        rounds = {}
        for stage in plan.stages:
            rounds[stage] = _run_round(folder, clip, stage, plan, progress)
        progress.finish()
    results = {
        "machine": describe_machine(),
        "window_s": plan.window_s,
        "batch": {"n_train": plan.n_train, "n_test": plan.n_test},
        "max_cpu_percent": LearningProcessConfig().max_cpu_percent,
        "load_before": load_before,
        "rounds": rounds,
    }
    if not quick:
        store("rate", results)
    return results


def summarize(lines: Sequence[Line], *, tuning_cores: float, other_cores: float) -> Measured:
    """Return what the reports of one measurement say.

    Raises:
        EdgeAutotunerError: there are fewer than two.
    """
    if len(lines) < 2:
        raise EdgeAutotunerError(f"the node reported {len(lines)} frames while it was measured")
    reports = [json.loads(line.text) for line in lines]
    arrived_s = np.array([line.arrived_s for line in lines])
    captured = [report["captured_at"] for report in reports]
    waits_ms = None
    if all(captured):
        stamps_s = np.array([datetime.fromisoformat(stamp).timestamp() for stamp in captured])
        waits_ms = (arrived_s - stamps_s) * 1000
    n_frames = len(lines)
    return Measured(
        frames_per_s=float((n_frames - 1) / (arrived_s[-1] - arrived_s[0])),
        p50_ms=None if waits_ms is None else float(np.percentile(waits_ms, 50)),
        p99_ms=None if waits_ms is None else float(np.percentile(waits_ms, 99)),
        gap_p99_ms=float(np.percentile(np.diff(arrived_s), 99) * 1000),
        n_frames=n_frames,
        n_dropped=reports[-1]["frame_index"] - reports[0]["frame_index"] + 1 - n_frames,
        tuning_cores=tuning_cores,
        other_cores=other_cores,
    )


def _run_round(folder: Path, clip: Path, stage: Stage, plan: Plan, progress: Progress) -> list[dict[str, Any]]:
    found = []
    for pace, is_live in PACES.items():
        for priority in (None, *plan.priorities):
            template = folder / (stage if priority else "nothing to do")
            measured = _measure(folder, template, clip, plan, is_live=is_live, priority=priority)
            found.append({"pace": pace, "tuning": priority, **measured})
            progress.advance(note=f"{stage}, {pace}, {priority or 'no tuning'}")
    return found


def _prepare(folder: Path, plan: Plan) -> None:
    """Let a node collect a batch and label it; keep its folder before and after, and one that has nothing to do."""
    work = folder / "prepared"
    work.mkdir()
    clip = data_folder() / PETS.source
    settings = _settings(plan, is_live=False, priority="normal", max_cpu_percent=100)
    state = work / "node" / CAMERA / "batches" / "00000001" / "state.json"
    for stage, record in (("annotation", "capture"), ("training", "annotation")):
        with NodeProcess(work, clip, settings) as node:
            node.wait_until(partial(_has, state, record), longest_s=_LONGEST_S)
        _copy(work, folder / stage)
    idle = folder / "nothing to do"
    _copy(work, idle)
    (batch,) = CameraFolder(idle / "node" / CAMERA).batches()
    batch.finish(BatchOutcome("kept", "there is nothing to do beside the detection", None, batch.closed_at or ""))


def _measure(
    folder: Path, template: Path, clip: Path, plan: Plan, *, is_live: bool, priority: Priority | None
) -> dict[str, Any]:
    work = folder / "measured"
    shutil.rmtree(work, ignore_errors=True)
    _copy(template, work)
    settings = _settings(plan, is_live=is_live, priority=priority or "idle")
    with NodeProcess(work, clip, settings) as node:
        node.wait_until(lambda: bool(node.lines) and (priority is None or _is_tuning(node)), longest_s=_LONGEST_S)
        pid = node.learning_pid()
        before, n_before = _Usage.of(node, pid), len(node.lines)
        time.sleep(plan.window_s)
        lines, after = node.lines[n_before:], _Usage.of(node, pid)
        if (priority is not None) != (node.learning_pid() is not None):
            raise EdgeAutotunerError("the tuning ended, or began, while the detection was measured")
    used = after.since(before)
    return asdict(summarize(lines, tuning_cores=used["tuning"], other_cores=used["other"]))


@dataclass(frozen=True)
class _Usage:
    """Processor seconds until a moment."""

    at_s: float
    node_s: float
    tuning_s: float
    machine_s: float

    @classmethod
    def of(cls, node: NodeProcess, tuning_pid: int | None) -> _Usage:
        tuning_s = 0.0 if tuning_pid is None else cpu_seconds(tuning_pid) or 0.0
        return cls(time.monotonic(), node.cpu_s(), tuning_s, _machine_cpu_s())

    def since(self, before: _Usage) -> Mapping[str, float]:
        """Return cores that were busy on average."""
        span_s = self.at_s - before.at_s
        tuning, node = self.tuning_s - before.tuning_s, self.node_s - before.node_s
        other = max(0.0, self.machine_s - before.machine_s - tuning - node)
        return {"tuning": tuning / span_s, "other": other / span_s}


def _machine_cpu_s() -> float:
    """Return the processor seconds that everything on this machine has used."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, _stolen = map(int, fields)
    return (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")


def _settings(plan: Plan, *, is_live: bool, priority: Priority, **background: float) -> dict[str, Any]:
    return {
        "run": {"capture": {"stream": {"realtime": is_live}, "max_test_images": plan.n_test}},
        "batch": {"max_frames": plan.n_train, "max_age_s": _VIDEO_S},
        "detect": {"max_rate_hz": 1000},  # every frame
        "background": {"priority": priority, **background},
    }


def _is_tuning(node: NodeProcess) -> bool:
    status = node.status()
    return bool(status.get("is_learning") and status["learning"].get("task"))


def _has(state: Path, record: str) -> bool:
    try:
        return record in json.loads(state.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False


def _copy(source: Path, target: Path) -> None:
    """Copy what a node keeps; not its status, which would be taken for that of the next one."""
    target.mkdir()
    shutil.copytree(source / "node", target / "node", symlinks=True, ignore=shutil.ignore_patterns("status.json"))
