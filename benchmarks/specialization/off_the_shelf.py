"""Whether untrained models score what is known of them, so that the other numbers can be compared with known ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.scenes import NGSIM, PETS, Scene
from benchmarks.specialization.piece import Piece
from benchmarks.specialization.scoring import camera_test_set, score, start_detector
from benchmarks.specialization.trial import NANO, SSDLITE, Trial
from benchmarks.specialization.workplace import Workplace
from edge_autotuner.core import COCO_80, STREET_6, LabelMap

KEY = "accuracy/off-the-shelf"
MAX_DIFFERENCE = 0.01
KNOWN: Mapping[tuple[str, str], tuple[float, float]] = {
    (NANO, PETS.name): (0.905, 0.400),
    (NANO, NGSIM.name): (0.454, 0.280),
    (SSDLITE, PETS.name): (0.825, 0.310),
    (SSDLITE, NGSIM.name): (0.122, 0.045),
}
"""Edge model and camera -> AP50 and AP50:95 of the full frame, measured once with other code and all 80 classes."""

_SIDES = {NANO: 416, SSDLITE: 300}


def pieces() -> list[Piece]:
    """Return the one piece."""
    return [Piece(KEY, _measure)]


def _measure(place: Workplace) -> dict[str, Any]:
    return {
        f"{model} {scene.name}": {
            "all classes": _scored(place, model, scene, COCO_80),
            "street classes": _scored(place, model, scene, STREET_6),
        }
        for scene in (PETS, NGSIM)
        for model in _SIDES
    }


def _scored(place: Workplace, model: str, scene: Scene, labels: LabelMap) -> dict[str, Any]:
    trial = Trial("start", scene, model, _SIDES[model], settings={"annotation.classes": list(labels)})
    return score(start_detector(place, place.config(trial)), camera_test_set(place, scene, labels))
