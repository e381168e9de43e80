"""A detector specialized on one simulated camera: on its later video, on a second camera, and on another type of scene.

A real teacher labels; the exact truth only judges.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.scenes import data_folder
from benchmarks.simulation.accuracy import AS_CAR, scored, true_boxes
from edge_autotuner.core import STREET_6, Detector
from edge_autotuner.deployment import load_edge_detector
from edge_autotuner.evaluation import merge_classes
from edge_autotuner.simulation.world import SceneType, SimulatedWorld
from edge_autotuner.simulation.world.recording import write_world_video

EDGE_MODEL, TEACHER = "yolox-nano", "deimv2-femto"
_RATE_HZ, _N_FRAMES, _N_IMAGES = 2.0, 400, 120
_TESTS: tuple[tuple[str, SceneType, int], ...] = (
    ("its later video", "street", 0), ("a second street", "street", 1), ("a parking lot", "parking", 0),
)  # fmt: skip
_N_TESTED = 40


def run_specialization(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Specialize on the first street, then score the start model and the specialized one on three cameras."""
    folder.mkdir(parents=True, exist_ok=True)
    video, run = folder / "street-0.mp4", folder / "run"
    if not (run / "report.html").is_file():
        write_world_video(SimulatedWorld("street", n_frames=_N_FRAMES, rate_hz=_RATE_HZ), video)
        _specialize(video, run, n_images=20 if quick else _N_IMAGES)
    models = {path.name: load_edge_detector(path) for path in sorted((run / "bundles").iterdir())}
    rows = []
    for name, scene, camera in _TESTS:
        for model, detector in models.items():
            rows.append({"camera": name, "model": model, **_score(detector, scene, camera, 4 if quick else _N_TESTED)})
            say(f"{name}, {model}: AP50 {rows[-1]['ap50']:.3f}")
    return rows


def _specialize(video: Path, run: Path, *, n_images: int) -> None:
    command = [
        sys.executable, "-m", "edge_autotuner.cli", "run", str(video), "--output", str(run), "--edge-model", EDGE_MODEL,
        "--teacher", TEACHER, "--max-images", str(n_images), "--classes", "person,car,bicycle",
        "--map-class", "truck=car", "--map-class", "bus=car", "--models-dir", str(data_folder() / "models"),
    ]  # fmt: skip
    subprocess.run(command, check=True)


def _score(detector: Detector, scene: SceneType, camera: int, n: int) -> dict[str, Any]:
    """Score frames after those of the training video."""
    merge = merge_classes(STREET_6, AS_CAR)
    world = SimulatedWorld(scene, camera=camera, n_frames=100_000, rate_hz=_RATE_HZ)
    indices = range(_N_FRAMES + 20, _N_FRAMES + 20 + 20 * n, 20)
    truths = [merge.truth(true_boxes(world.truth(index).objects(0.02))) for index in indices]
    found = [merge.detections(detector.detect(world.image(i)).relabelled(detector.labels, STREET_6)) for i in indices]
    return scored(found, truths, merge.labels)
