"""Whatever pasting and mosaics do: boxes stay on the canvas, objects are visible, the unseen stays unknown.

The teacher has seen the left part of each picture only; what it has not seen is painted white, and nothing else is
white.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_autotuner.config import AugmentationConfig
from edge_autotuner.core.types import BoolArray, ImageArray
from edge_autotuner.models.yolox import CellGrid
from edge_autotuner.training import BatchMaker, TrainingSample
from support.cameras.coloured_scene import fresh_network
from support.cameras.simulated_samples import SIZE_WH, camera_samples

SEEN_PX = 176


def half_seen(sample: TrainingSample) -> TrainingSample:
    image = np.minimum(sample.read_image(), 200)
    image[:, SEEN_PX:] = 255
    inside = sample.boxes_xyxy[:, 2] <= SEEN_PX
    return replace(
        sample,
        read_image=lambda: image,
        boxes_xyxy=sample.boxes_xyxy[inside],
        class_ids=sample.class_ids[inside],
        looked_xyxy=np.array([[0, 0, SEEN_PX, SIZE_WH[1]]], np.float32),
    )


@cache
def batches(paste: float, mosaic: float) -> BatchMaker:
    samples = [half_seen(sample) for sample in camera_samples()]
    augmentation = AugmentationConfig(
        paste=paste, mosaic=mosaic, scale=0.5, translate=0.3, brightness=0, contrast=0, saturation=0
    )
    return BatchMaker(samples, (128, 128), network=fresh_network(6), augmentation=augmentation, seed=0)


def is_white(image: ImageArray, centres_xy: np.ndarray) -> BoolArray:
    """Return (N,): whether the four pixels around each cell centre are white."""
    x, y = centres_xy.astype(int).T
    return np.asarray(np.all([image[y + dy, x + dx].min(axis=1) > 250 for dy in (-1, 0) for dx in (-1, 0)], axis=0))


@settings(max_examples=40)
@given(
    st.sampled_from([(0.0, 1.0), (6.0, 0.0), (6.0, 0.7)]),
    st.integers(0, 29),
    st.integers(0, 1000),
    st.integers(0, 1000),
)
def test_pasted_and_joined_pictures_tell_the_truth(
    setting: tuple[float, float], index: int, epoch: int, step: int
) -> None:
    batch = batches(*setting).batch([index], epoch=epoch, step=step)
    (target,), image = batch.targets, batch.images[0].permute(1, 2, 0).numpy().astype(np.uint8)
    height, width = image.shape[:2]
    boxes = target.boxes_xyxy.numpy()
    assert (boxes >= 0).all()
    assert (boxes <= [width, height, width, height]).all()
    assert ((boxes[:, 2:] - boxes[:, :2]) >= 2).all()
    assert len(boxes) == len(target.class_ids) == len(target.weights if target.weights is not None else ())
    for x1, y1, x2, y2 in boxes.astype(int):
        shown = image[y1 : y2 + 1, x1 : x2 + 1]
        assert (shown.min(axis=2) < 240).mean() > 0.5  # inside what was seen
        assert shown.std() > 2  # something is there
    centres = CellGrid.of_input(height, width).centres.numpy()
    assert not (target.is_known.numpy() & is_white(image, centres)).any()
