"""A synthetic fixed camera with exact ground truth, for tests and for demonstrations without a video."""

from edge_autotuner.simulation.static_camera import SimulatedCamera

__all__ = ["SimulatedCamera"]
