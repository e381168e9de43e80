"""The page of sample pictures in the docs: scene types, weather and light, each named in its corner."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from edge_autotuner.core.types import ImageArray
from edge_autotuner.simulation.world import SceneType, SimulatedWorld, Steady, WorldConditions
from edge_autotuner.simulation.world.traffic import Demand
from edge_autotuner.storage.atomic import atomic_write_bytes

PAGE = Path(__file__).parent.parent.parent / "docs" / "images" / "simulated-world.jpg"
_TILE_WH, _N_COLUMNS, _QUALITY = (480, 272), 4, 86


@dataclass(frozen=True)
class _Sample:
    name: str
    scene: SceneType
    camera: int
    index: int
    conditions: WorldConditions = field(default_factory=WorldConditions)


_SAMPLES = (
    _Sample("street", "street", 0, 420),
    _Sample("parking", "parking", 1, 420),
    _Sample("campus", "campus", 2, 420),
    _Sample("motorway", "motorway", 0, 420),
    _Sample("roadworks", "street", 4, 400, WorldConditions(demand=Demand(1.0, {"bus": 0.2}, has_works=True))),
    _Sample("rain", "street", 0, 600, WorldConditions(daylight=22, rain=24, overcast=24)),
    _Sample("fog", "campus", 2, 460, WorldConditions(fog=16, overcast=20)),
    _Sample("snow", "parking", 1, 700, WorldConditions(snow=26, season="winter", overcast=16)),
    _Sample("dusk", "street", 0, 420, WorldConditions(daylight=9)),
    _Sample("night", "street", 0, 420, WorldConditions(daylight=2)),
    _Sample("infrared", "street", 0, 420, WorldConditions(daylight=0, has_infrared=True)),
    _Sample("motorway at night", "motorway", 0, 420, WorldConditions(daylight=2)),
)


def write_page(path: Path) -> None:
    """Draw all samples and write them as one JPEG."""
    tiles = [_tile(sample) for sample in _SAMPLES]
    rows = [np.hstack(tiles[start : start + _N_COLUMNS]) for start in range(0, len(tiles), _N_COLUMNS)]
    _, encoded = cv2.imencode(".jpg", np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    atomic_write_bytes(path, encoded.tobytes())


def _tile(sample: _Sample) -> ImageArray:
    size_wh = 2 * _TILE_WH[0], 2 * _TILE_WH[1]
    world = SimulatedWorld(
        sample.scene, camera=sample.camera, size_wh=size_wh, n_frames=10_000, schedule=Steady(sample.conditions)
    )
    image = cv2.resize(world.image(sample.index), _TILE_WH, interpolation=cv2.INTER_AREA)
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(image, f"simulated: {sample.name}", (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, thickness)
    return np.asarray(image)
