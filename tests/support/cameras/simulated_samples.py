"""Training pictures of a simulated camera, with its exact boxes as labels."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from edge_autotuner.core.types import BoolArray
from edge_autotuner.simulation import SimulatedCamera
from edge_autotuner.simulation.painting import owners
from edge_autotuner.training import TrainingSample

SIZE_WH = (256, 160)
FRAMES = tuple(range(0, 120, 4))


@lru_cache(maxsize=1)
def camera() -> SimulatedCamera:
    """Return the camera; 12 s, cars and people."""
    return SimulatedCamera(SIZE_WH, n_frames=120, rate_hz=10.0, seed=5, n_objects=12)


@lru_cache(maxsize=1)
def camera_samples() -> tuple[TrainingSample, ...]:
    """Return a sample for each of `FRAMES`, seen entirely."""
    return tuple(_sample(index) for index in FRAMES)


def true_masks(index: int) -> list[tuple[tuple[int, int, int, int], BoolArray]]:
    """Return the box and the (H, W) visible pixels of every object in a frame."""
    placed = camera()._placed(index)
    owner = owners(placed, SIZE_WH)
    return [(one.box_in_frame(SIZE_WH), np.asarray(owner == number)) for number, one in enumerate(placed)]


def _sample(index: int) -> TrainingSample:
    image, truth = camera().frame(index).image_bgr, camera().truth(index)
    nowhere = np.zeros((0, 4), np.float32)
    everywhere = np.array([[0, 0, *SIZE_WH]], np.float32)
    return TrainingSample(lambda: image, SIZE_WH, truth.boxes_xyxy, truth.class_ids, nowhere, everywhere)
