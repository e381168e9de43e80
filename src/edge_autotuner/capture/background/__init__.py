"""What a scene looks like when nothing moves, estimated from its brightness."""

from edge_autotuner.capture.background.factory import BACKGROUND_MODELS, make_background
from edge_autotuner.capture.background.first_frame import FirstFrame
from edge_autotuner.capture.background.median import MedianBackground
from edge_autotuner.capture.background.pixel_median import pixel_median
from edge_autotuner.capture.background.subtractors import KnnBackground, Mog2Background

__all__ = [
    "BACKGROUND_MODELS",
    "FirstFrame",
    "KnnBackground",
    "MedianBackground",
    "Mog2Background",
    "make_background",
    "pixel_median",
]
