"""What a specialized model no longer knows: other cameras, and classes that its own never shows.

Each camera's model is trained with and without guards. Generic pictures come from two clips of other places that
nothing is scored on, labelled by the teacher.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.scenes import NGSIM, PETS
from benchmarks.specialization.ablations import default_of
from benchmarks.specialization.accuracy import specialized
from benchmarks.specialization.cameras import GENERIC_CLIPS, HIGHWAY, MOTORWAY, labelled_clip
from benchmarks.specialization.piece import Measure, Piece
from benchmarks.specialization.scoring import (
    TestSet,
    camera_test_set,
    highway_test_set,
    motorway_test_set,
    score,
    specialized_detector,
    start_detector,
)
from benchmarks.specialization.transfer import CAMERAS
from benchmarks.specialization.trial import NANO, Trial
from benchmarks.specialization.workplace import Workplace
from edge_autotuner.core import Detector
from edge_autotuner.pipeline.replay_offers import add_dataset
from edge_autotuner.pipeline.run_folder import RunFolder

TEST_SETS: Mapping[str, Callable[[Workplace], TestSet]] = {
    f"{PETS.name}: people": lambda place: camera_test_set(place, PETS),
    f"{NGSIM.name}: cars": lambda place: camera_test_set(place, NGSIM),
    f"{HIGHWAY.name}: cars, rough boxes": highway_test_set,
    f"{MOTORWAY.name}: cars, teacher's labels": motorway_test_set,
}
"""Head of the table -> pictures with their truth."""

_NONE = {"training.distill_weight": 0.0, "training.keep_start": 0.0}
_DISTILLATION = {"training.distill_weight": 0.5}
_START = {"training.keep_start": 0.3}
_GENERIC = {"training.replay.share": 0.25, "training.replay.generic_share": 1.0}
GUARDS: Mapping[str, Mapping[str, Any]] = {
    "none": _NONE,
    "distillation": _NONE | _DISTILLATION,
    "part of the start": _NONE | _START,
    "generic pictures": _NONE | _GENERIC,
    "generic pictures and distillation": _NONE | _DISTILLATION | _GENERIC,
    "all three": _NONE | _DISTILLATION | _START | _GENERIC,
}
"""Name -> dotted keys."""

START_KEY = "forgetting/start"


def pieces() -> list[Piece]:
    """Return the start, and each camera's model with each guard."""
    found = [Piece(START_KEY, _start)]
    for camera in CAMERAS:
        for guard in GUARDS:
            trial = guarded(camera, guard)
            own = () if trial == specialized(camera) else (trial,)
            found.append(Piece(key_of(camera, guard), _specialized(trial), (trial,), own))
    return found


def key_of(camera: str, guard: str) -> str:
    """Return the key of a piece."""
    return f"forgetting/{camera}/{guard.replace(' ', '-')}"


def guarded(camera: str, guard: str) -> Trial:
    """Return the training with a guard; where that is what the defaults do, the one of the accuracy group."""
    plain, settings = specialized(camera), GUARDS[guard]
    if settings is _NONE and all(default_of(key) == value for key, value in settings.items()):
        return plain
    return plain.with_settings(f"forgetting-{camera}-{guard.replace(' ', '-')}", settings=settings)


def _start(place: Workplace) -> dict[str, Any]:
    return _scores(place, start_detector(place, place.config(Trial("start", PETS, NANO))))


def _specialized(trial: Trial) -> Measure:
    def measure(place: Workplace) -> dict[str, Any]:
        folder = place.prepared(trial)
        replays = any(key.startswith("training.replay.") for key in trial.settings)
        paths = {"training.replay.folder": _reservoir(place, folder)} if replays else {}
        done = place.trained(trial, folder, place.config(trial, paths))
        return _scores(place, specialized_detector(done))

    return measure


def _reservoir(place: Workplace, folder: RunFolder) -> Path:
    """Return a reservoir with generic pictures, of this run alone: a finished training adds its own frames to it."""
    reservoir = folder.path / "reservoir"
    for clip in GENERIC_CLIPS:
        add_dataset(reservoir, labelled_clip(place, clip).path)
    return reservoir


def _scores(place: Workplace, detector: Detector) -> dict[str, Any]:
    return {name: score(detector, make(place)) for name, make in TEST_SETS.items()}
