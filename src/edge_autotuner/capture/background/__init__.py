"""What a scene looks like when nothing moves, estimated from its brightness."""

from edge_autotuner.capture.background.keeper import BackgroundKeeper, make_background
from edge_autotuner.capture.background.median import MedianBackground
from edge_autotuner.capture.background.pixel_rank import pixel_median, pixel_rank
from edge_autotuner.capture.background.running import FirstFrame, RunningBackground
from edge_autotuner.capture.background.scene_guard import SceneChange, SceneGuard
from edge_autotuner.capture.background.subtractors import KnnBackground, Mog2Background

__all__ = [
    "BackgroundKeeper",
    "FirstFrame",
    "KnnBackground",
    "MedianBackground",
    "Mog2Background",
    "RunningBackground",
    "SceneChange",
    "SceneGuard",
    "make_background",
    "pixel_median",
    "pixel_rank",
]
