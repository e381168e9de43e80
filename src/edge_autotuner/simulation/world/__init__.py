"""Fixed cameras in a simulated world with exact truth: four types of scenes, scripted light, weather and events."""

from edge_autotuner.simulation.world.conditions import WorldConditions
from edge_autotuner.simulation.world.layouts import SCENE_TYPES, SceneType
from edge_autotuner.simulation.world.script import READY_SCRIPTS, WorldEvent, WorldScript, load_script
from edge_autotuner.simulation.world.truth import TrueObject, WorldTruth
from edge_autotuner.simulation.world.world import SimulatedWorld, Steady, open_world

__all__ = [
    "READY_SCRIPTS",
    "SCENE_TYPES",
    "SceneType",
    "SimulatedWorld",
    "Steady",
    "TrueObject",
    "WorldConditions",
    "WorldEvent",
    "WorldScript",
    "WorldTruth",
    "load_script",
    "open_world",
]
