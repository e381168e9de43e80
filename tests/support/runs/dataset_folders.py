"""Datasets with known content for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge_autotuner.core import Annotation, Detections, FakeClock, LabelMap, SourceInfo
from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset import DatasetStore, FrameRecord
from support.cameras.frames import frame_of

LABELS = LabelMap(("person", "car"))
SOURCE = SourceInfo("video", "gate.mp4", (64, 48), 100, 10.0, "5f" * 32)


def new_store(folder: Path, **changes: Any) -> DatasetStore:
    """Create a dataset; keyword arguments replace those of `DatasetStore.create`."""
    arguments: dict[str, Any] = {"source": SOURCE, "labels": LABELS, "settings": {"step": 2}, "clock": FakeClock()}
    return DatasetStore.create(folder, **(arguments | changes))


def picture(seed: int = 0, *, size_wh: tuple[int, int] = (64, 48)) -> ImageArray:
    """Return a random (H, W, 3) picture."""
    return np.random.default_rng(seed).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)


def add_frame(store: DatasetStore, index: int, split: str = "train", **changes: Any) -> FrameRecord:
    """Add a random frame whose picture depends on its index."""
    image = changes.pop("image", None)
    image = picture(index) if image is None else image
    frame = frame_of(image, index=index, time_s=index / 10, file_name=changes.pop("file_name", None))
    arguments: dict[str, Any] = {
        "split": split,
        "regions_xyxy": np.array([[1, 2, 30.5, 40.25]], np.float32),
        "motion_fraction": 0.25,
        "background": None,
        "reason": "moves",
        "picture_format": "png",
    }
    return store.add_frame(frame, **(arguments | changes))


def annotation(*rows: tuple[float, float, float, float, float, int], n_calls: int = 5) -> Annotation:
    """Return an annotation of (x1, y1, x2, y2, score, class id) rows that saw all of a 64x48 frame."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    detections = Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))
    return Annotation(detections, np.array([[0, 0, 64, 48]], np.float32), n_calls, n_calls * 64 * 48)
