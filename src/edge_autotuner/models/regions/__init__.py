"""Regions: what moves in frames, cut out, magnified and packed into one input of a model."""

from edge_autotuner.models.regions.cells import CellMap
from edge_autotuner.models.regions.choice import ModeChoice
from edge_autotuner.models.regions.detector import RegionDetector, RegionFindings, detect_once
from edge_autotuner.models.regions.packing import pack_on_shelves
from edge_autotuner.models.regions.plan import full_scale, plan_cells
from edge_autotuner.models.regions.standing import StandingObjects
from edge_autotuner.models.regions.things import MovingThings, moving_things

__all__ = [
    "CellMap",
    "ModeChoice",
    "MovingThings",
    "RegionDetector",
    "RegionFindings",
    "StandingObjects",
    "detect_once",
    "full_scale",
    "moving_things",
    "pack_on_shelves",
    "plan_cells",
]
