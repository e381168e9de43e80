"""A synthetic fixed camera with exact ground truth, for tests and for demonstrations without a video."""

from edge_autotuner.simulation.scene_events import (
    CameraBump,
    LightSwitch,
    NightSwitch,
    ParkedCar,
    PassingTruck,
    SceneEvent,
    parse_event,
)
from edge_autotuner.simulation.static_camera import SimulatedCamera
from edge_autotuner.simulation.weather import Conditions

__all__ = [
    "CameraBump",
    "Conditions",
    "LightSwitch",
    "NightSwitch",
    "ParkedCar",
    "PassingTruck",
    "SceneEvent",
    "SimulatedCamera",
    "parse_event",
]
