"""Which background model a configuration means."""

from __future__ import annotations

from edge_autotuner.capture.background.first_frame import FirstFrame
from edge_autotuner.capture.background.median import MedianBackground
from edge_autotuner.capture.background.subtractors import KnnBackground, Mog2Background
from edge_autotuner.config import BackgroundConfig
from edge_autotuner.core import BackgroundModel

BACKGROUND_MODELS: dict[str, type[BackgroundModel]] = {
    "median": MedianBackground,
    "first": FirstFrame,
    "mog2": Mog2Background,
    "knn": KnnBackground,
}
"""Configuration name -> class."""


def make_background(config: BackgroundConfig) -> BackgroundModel:
    """Return a new background model as configured."""
    if config.method == "median":
        return MedianBackground(config.n_frames, config.every_k_frames, config.n_backgrounds)
    return BACKGROUND_MODELS[config.method]()
