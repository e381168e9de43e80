"""Which background model a configuration means."""

from __future__ import annotations

from collections.abc import Callable

from edge_autotuner.capture.background.first_frame import FirstFrame
from edge_autotuner.capture.background.median import MedianBackground
from edge_autotuner.capture.background.running import RunningBackground
from edge_autotuner.capture.background.subtractors import KnnBackground, Mog2Background
from edge_autotuner.config import BackgroundConfig
from edge_autotuner.core import BackgroundModel


def make_background(config: BackgroundConfig, *, quick_start: bool = False) -> BackgroundModel:
    """Return a new background model as configured.

    Args:
        config: method and its numbers.
        quick_start: know the background within five frames, less well; for a scene that has just changed.
    """
    return BACKGROUND_MODELS[config.method](config, quick_start)


def _make_median(config: BackgroundConfig, quick_start: bool) -> BackgroundModel:
    return MedianBackground(config.n_frames, config.every_k_frames, config.n_backgrounds, quick_start=quick_start)


def _make_percentile(config: BackgroundConfig, quick_start: bool) -> BackgroundModel:
    return MedianBackground(
        config.n_frames,
        config.every_k_frames,
        config.n_backgrounds,
        percentile=config.percentile,
        quick_start=quick_start,
    )


def _make_running(config: BackgroundConfig, quick_start: bool) -> BackgroundModel:
    return RunningBackground(config.n_frames, config.every_k_frames, quick_start=quick_start)


BACKGROUND_MODELS: dict[str, Callable[[BackgroundConfig, bool], BackgroundModel]] = {
    "median": _make_median,
    "percentile": _make_percentile,
    "running": _make_running,
    "first": lambda config, quick_start: FirstFrame(),
    "mog2": lambda config, quick_start: Mog2Background(quick_start=quick_start),
    "knn": lambda config, quick_start: KnnBackground(quick_start=quick_start),
}
"""Configuration name -> what makes a model of a configuration, quick to start or not."""
