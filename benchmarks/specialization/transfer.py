"""Generic against specialized: models tuned on one camera, tested on it and on the other one."""

from __future__ import annotations

from typing import Any

from benchmarks.scenes import NGSIM, PETS, Scene
from benchmarks.specialization.accuracy import specialized
from benchmarks.specialization.piece import Measure, Piece
from benchmarks.specialization.scoring import camera_test_set, score, specialized_detector, start_detector
from benchmarks.specialization.trial import NANO, STREET, Trial
from benchmarks.specialization.workplace import Workplace

TESTED_ON = (PETS, NGSIM)
CAMERAS = {"pets": PETS, "ngsim": NGSIM}
STARTS = (NANO, STREET)


def trials() -> dict[str, Trial]:
    """Return the trainings by the last part of their keys: both starts on both cameras."""
    found = {f"{NANO}-on-{camera}": specialized(camera) for camera in CAMERAS}
    for camera, scene in CAMERAS.items():
        found[f"{STREET}-on-{camera}"] = Trial(f"{STREET}-on-{camera}", scene, STREET)
    return found


def pieces() -> list[Piece]:
    """Return the starts as they are, and each start tuned on each camera."""
    as_they_are = [Piece(f"transfer/{start}", _untrained(start)) for start in STARTS]
    tuned = [
        Piece(f"transfer/{name}", _trained(trial), (trial,), (trial,) if trial.edge_model == STREET else ())
        for name, trial in trials().items()
    ]
    return [*as_they_are, *tuned]


def _untrained(edge_model: str) -> Measure:
    def measure(place: Workplace) -> dict[str, Any]:
        return {scene.name: _scored(place, edge_model, scene) for scene in TESTED_ON}

    return measure


def _scored(place: Workplace, edge_model: str, scene: Scene) -> dict[str, Any]:
    config = place.config(Trial("start", scene, edge_model))
    return score(start_detector(place, config), camera_test_set(place, scene))


def _trained(trial: Trial) -> Measure:
    def measure(place: Workplace) -> dict[str, Any]:
        detector = specialized_detector(place.carry_out(trial))
        return {scene.name: score(detector, camera_test_set(place, scene)) for scene in TESTED_ON}

    return measure
