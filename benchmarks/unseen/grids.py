"""Which grid of tiles a teacher needs for objects of which size, on simulated cameras with exact truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.markdown import table
from benchmarks.result_file import store_result
from benchmarks.simulation.accuracy import AS_CAR, open_detector, true_boxes
from edge_autotuner.annotation import RegionTeacher, choose_grid
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import STREET_6, Detections
from edge_autotuner.core.boxes import box_sizes
from edge_autotuner.core.types import SizeWH
from edge_autotuner.evaluation import Truth, merge_classes, score_detections
from edge_autotuner.models import OnnxDetector
from edge_autotuner.simulation.world import SceneType, SimulatedWorld, Steady, WorldConditions

RESULTS = Path(__file__).parent.parent / "results" / "grids.json"
CAMERAS: tuple[tuple[SceneType, int, SizeWH], ...] = (
    ("motorway", 0, (1280, 720)),
    ("motorway", 1, (1280, 720)),
    ("motorway", 2, (640, 360)),
    ("street", 0, (640, 360)),
    ("street", 1, (640, 360)),
    ("street", 2, (1280, 720)),
    ("street", 3, (1920, 1080)),
    ("campus", 0, (640, 360)),
    ("campus", 1, (1280, 720)),
)
GRIDS = (1, 2, 3, 4, 5)
N_FRAMES, STEP, FIRST = 12, 60, 200

_TEACHERS = ("deimv2-femto", "yolox-nano")
_SMALL = 25  # percentile
_JUDGED = ("person", "car")  # buses and trucks count as cars; other classes are too rare to compare grids by


def run_grids(*, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Score two teachers on every grid by day, and keep the results unless `quick`."""
    detectors = {name: open_detector(name, n_threads=1) for name in _TEACHERS}
    rows = []
    for scene, camera, size_wh in CAMERAS[-1:] if quick else CAMERAS:
        world = SimulatedWorld(
            scene, camera=camera, size_wh=size_wh, n_frames=10_000, schedule=Steady(WorldConditions())
        )
        rows.append(
            _row(world, f"{scene} {camera}", range(FIRST, FIRST + STEP * (2 if quick else N_FRAMES), STEP), detectors)
        )
        say(f"{rows[-1]}")
    if not quick:
        store_result(RESULTS, "grids", {"machine": describe_machine(), "measured": rows})
    return rows


def grid_table(results: Mapping[str, Any]) -> str:
    """Return the teachers' scores by grid, with the grid that `auto` takes for objects of the true size."""
    if "grids" not in results:
        return "Not measured yet."
    head = ["simulated camera", "size", "small objects", "teacher", *(f"{n}x{n}" for n in GRIDS), "`auto` takes"]
    rows = [
        [row["camera"], "x".join(map(str, row["size_wh"])), f"{row['object_px']:.0f} px", name,
         *(f"{ap50:.3f} / {ap:.3f}" for ap50, ap in scores), "x".join(map(str, row["auto"]))]
        for row in results["grids"]["measured"]
        for name, scores in row["scores"].items()
    ]  # fmt: skip
    return table(head, rows)


def _row(
    world: SimulatedWorld, camera: str, frames: Sequence[int], detectors: Mapping[str, OnnxDetector]
) -> dict[str, Any]:
    truths = [true_boxes(world.truth(index).objects(0.02)) for index in frames]
    size_wh = world.info.size_wh
    object_px = _small_size(truths)
    (input_wh,) = {detector.input_size_wh for detector in detectors.values()}
    return {
        "camera": camera,
        "size_wh": list(size_wh),
        "object_px": object_px,
        "auto": list(choose_grid(object_px, size_wh, input_wh, AnnotationConfig())),
        "scores": {
            name: [_score(world, frames, truths, detector, grid) for grid in GRIDS]
            for name, detector in detectors.items()
        },
    }


def _small_size(truths: Sequence[Truth]) -> float:
    boxes = np.concatenate([truth.boxes_xyxy[~truth.is_ignored] for truth in truths])
    return float(np.percentile(box_sizes(boxes), _SMALL))


def _score(
    world: SimulatedWorld, frames: Sequence[int], truths: Sequence[Truth], detector: OnnxDetector, grid: int
) -> list[float]:
    """Return the mean AP50 and AP50:95 of people and cars."""
    merge = merge_classes(STREET_6, AS_CAR)
    teacher = RegionTeacher(detector, AnnotationConfig(tile_grid=grid), labels=STREET_6, name="teacher")
    found: list[Detections] = [teacher.annotate(world.image(index), None).detections for index in frames]
    scores = score_detections(
        [merge.detections(one) for one in found], [merge.truth(truth) for truth in truths], merge.labels
    )
    judged = [scores.per_class[name] for name in _JUDGED if name in scores.per_class]
    return [float(np.nanmean([one.ap50 for one in judged])), float(np.nanmean([one.ap for one in judged]))]
