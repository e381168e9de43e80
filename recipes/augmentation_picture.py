"""Draws the picture of `docs/explanation/augmentation.md`: `python -m recipes.augmentation_picture`.

A simulated street, whose pictures may be published, as the training shows it.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge_autotuner.config import AugmentationConfig
from edge_autotuner.core import Detections
from edge_autotuner.core.types import ImageArray
from edge_autotuner.models import Yolox
from edge_autotuner.simulation import SimulatedCamera
from edge_autotuner.training import BatchMaker, TrainingSample

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "augmentation.png"

SIZE_WH = (416, 256)
SHOWN = 12  # the picture that is changed
_OWN_BGR, _PASTED_BGR = (40, 220, 255), (60, 60, 255)
_GAP_PX = 6
_STILL = AugmentationConfig(flip=0, scale=0, translate=0, brightness=0, contrast=0, saturation=0)
_VIEWS = (
    _STILL,
    _STILL.model_copy(update={"paste": 5.0}),
    AugmentationConfig(paste=5.0),
    AugmentationConfig(paste=3.0, mosaic=1.0),
)


def main() -> None:
    """Draw a picture as it is, with objects pasted, changed as a whole, and in a mosaic."""
    samples = _samples(SimulatedCamera(SIZE_WH, n_frames=300, rate_hz=10.0, seed=5, n_objects=24))
    n_own = len(samples[SHOWN].boxes_xyxy)
    views = [_view(samples, augmentation, n_own) for augmentation in _VIEWS]
    gap = np.full((SIZE_WH[1], _GAP_PX, 3), 255, np.uint8)
    rows = [np.hstack([left, gap, right]) for left, right in (views[:2], views[2:])]
    picture = np.vstack([rows[0], np.full((_GAP_PX, rows[0].shape[1], 3), 255, np.uint8), rows[1]])
    cv2.imwrite(str(PICTURE), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def _samples(camera: SimulatedCamera) -> list[TrainingSample]:
    return [_sample(camera.frame(i).image_bgr, camera.truth(i)) for i in range(0, 300, 10)]


def _sample(image: ImageArray, truth: Detections) -> TrainingSample:
    nowhere, everywhere = np.zeros((0, 4), np.float32), np.array([[0, 0, *SIZE_WH]], np.float32)
    return TrainingSample(lambda: image, SIZE_WH, truth.boxes_xyxy, truth.class_ids, nowhere, everywhere)


def _view(samples: list[TrainingSample], augmentation: AugmentationConfig, n_own: int) -> ImageArray:
    network = Yolox("yolox-nano", 6)
    batch = BatchMaker(samples, SIZE_WH, network=network, augmentation=augmentation, seed=1).batch(
        [SHOWN], epoch=0, step=0
    )
    image = np.ascontiguousarray(batch.images[0].permute(1, 2, 0).numpy().astype(np.uint8))
    for number, (x1, y1, x2, y2) in enumerate(batch.targets[0].boxes_xyxy.round().int().tolist()):
        is_own = augmentation.mosaic == 0 and number < n_own
        cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), _OWN_BGR if is_own else _PASTED_BGR, 1)
    return image


if __name__ == "__main__":
    main()
