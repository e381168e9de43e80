"""What the gate sees, beside what it sends: recall of moving objects against the share of pixels in the regions.

A region that covers everything would see everything, so both numbers belong together. The same settings are used
on all scenes. Only frames whose background is known are scored.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.capture.scenes import SCENES, MeasuredScene, Truth
from benchmarks.machine import describe_machine, one_core
from benchmarks.scenes import data_folder
from edge_autotuner.capture import MotionGate, MotionResult
from edge_autotuner.config import BackgroundConfig, MotionConfig
from edge_autotuner.core import CaptureEvent, Progress, covered_fraction
from edge_autotuner.core.plugins import BACKGROUNDS
from edge_autotuner.core.types import BoolArray
from edge_autotuner.storage.atomic import atomic_write_json

RESULTS = Path(__file__).parent.parent / "results" / "capture_quality.json"

MIN_COVERED = 0.7
"""An object is seen when at least this share of its box lies inside one region."""

_THRESHOLDS = (4, 8, 12, 16, 24, 32, 48, 64)
_QUICK_FRAMES = 520  # highway is labelled from 469 on
_QUICK_THRESHOLDS = (8, 24)


@dataclass(frozen=True)
class Variant:
    """Settings to measure.

    Attributes:
        group: which table or curve it belongs to.
        name: its row.
        motion: what differs from the default.
        background: what differs from the default.
    """

    group: str
    name: str
    motion: dict[str, Any] = field(default_factory=dict)
    background: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What the results call it."""
        return f"{self.group}: {self.name}"


def variants(*, quick: bool) -> Iterator[Variant]:
    """Yield everything that is measured, with the default settings first; quick: not the ablations."""
    yield Variant("default", "default")
    for method in BACKGROUNDS.built_in:
        yield Variant("method", method, background={"method": method})
    for sensitivity in ("low", "medium", "high"):
        yield Variant("sensitivity", sensitivity, motion={"sensitivity": sensitivity})
    for threshold in _QUICK_THRESHOLDS if quick else _THRESHOLDS:
        yield Variant("threshold", str(threshold), motion={"threshold": threshold})
    if quick:
        return
    yield Variant("ablation", "noise not considered", motion={"noise_factor": 0.0})
    for n_frames in (1, 2, 3):
        yield Variant("ablation", f"seen in {n_frames} frames in a row", motion={"persistence_frames": n_frames})
    for merge in ("none", "overlapping", "all"):
        yield Variant("ablation", f"regions joined: {merge}", motion={"merge": merge})


def run_quality(*, quick: bool, progress: Progress) -> dict[str, Any]:
    """Measure all variants on all scenes and return the results; those of a full run are stored.

    Args:
        quick: only the first frames and few thresholds, nothing stored: to see that it works.
        progress: told of every scene and every variant.

    Raises:
        ConfigError: there is no data folder.
    """
    data = data_folder()
    scores: dict[str, dict[str, dict[str, Any]]] = {}
    with one_core():
        for scene_name, read_scene in SCENES.items():
            wanted = list(variants(quick=quick))
            progress.start(scene_name, len(wanted))
            scene = read_scene(data, _QUICK_FRAMES if quick else None)
            for variant in wanted:
                scores.setdefault(variant.key, {})[scene_name] = measure(scene, variant)
                progress.advance(note=variant.key)
            progress.finish()
    results = {"machine": describe_machine(), "min_covered": MIN_COVERED, "scores": scores}
    if not quick:
        RESULTS.parent.mkdir(exist_ok=True)
        atomic_write_json(RESULTS, results, indent=2)
    return results


def measure(scene: MeasuredScene, variant: Variant) -> dict[str, Any]:
    """Return the scores of one gate on one scene."""
    events: list[CaptureEvent] = []
    motion, background = MotionConfig(**variant.motion), BackgroundConfig(**variant.background)
    gate = MotionGate(motion, background, on_event=events.append)
    tally = Tally()
    for frame in scene.frames():
        started_s = time.perf_counter()
        result = gate.look(frame)
        tally.times_s.append(time.perf_counter() - started_s)
        if result.background_known and frame.index in scene.truths:
            tally.add(result, scene.truths[frame.index])
    return tally.to_json() | {"n_scene_changes": sum(event.kind == "scene changed" for event in events)}


@dataclass
class Tally:
    """Counts over the frames of one scene.

    Attributes:
        times_s: seconds per look at a frame.
        fractions: share of the frame that the regions cover, per scored frame.
        n_moving: moving objects on the scored frames, and `n_moving_seen` of them.
        n_all: all objects, and `n_all_seen` of them.
        n_empty: scored frames without an object, and `n_empty_skipped` of them without a region.
    """

    times_s: list[float] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)
    n_moving: int = 0
    n_moving_seen: int = 0
    n_all: int = 0
    n_all_seen: int = 0
    n_empty: int = 0
    n_empty_skipped: int = 0

    def add(self, result: MotionResult, truth: Truth) -> None:
        """Count one scored frame."""
        is_seen = seen(result, truth)
        self.fractions.append(result.motion_fraction)
        self.n_all += len(is_seen)
        self.n_all_seen += int(is_seen.sum())
        self.n_moving += int(truth.is_moving.sum())
        self.n_moving_seen += int((is_seen & truth.is_moving).sum())
        self.n_empty += len(is_seen) == 0
        self.n_empty_skipped += len(is_seen) == 0 and not result.has_motion

    def to_json(self) -> dict[str, Any]:
        """Return the counts, and the shares that follow from them; None where there is nothing to count."""
        return {
            "n_frames": len(self.fractions),
            "n_moving": self.n_moving,
            "recall_moving": _share(self.n_moving_seen, self.n_moving),
            "n_all": self.n_all,
            "recall_all": _share(self.n_all_seen, self.n_all),
            "area_fraction": float(np.mean(self.fractions)) if self.fractions else None,
            "n_empty": self.n_empty,
            "empty_skipped": _share(self.n_empty_skipped, self.n_empty),
            "gate_ms": statistics.median(self.times_s) * 1000 if self.times_s else None,
        }


def seen(result: MotionResult, truth: Truth) -> BoolArray:
    """Return (T,): whether enough of each object lies inside one region."""
    if len(truth.boxes_xyxy) == 0 or len(result.regions_xyxy) == 0:
        return np.zeros(len(truth.boxes_xyxy), bool)
    return np.asarray(covered_fraction(truth.boxes_xyxy, result.regions_xyxy).max(axis=1) >= MIN_COVERED)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
